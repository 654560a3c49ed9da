import type { Deps } from './deps.ts'
import type { Running } from './feature.ts'
import { features } from './features.ts'

/** Starts every feature's consumers and recurring jobs. */
export function startWorker(deps: Deps): Running {
  const running = features.flatMap((feature) => feature.work?.(deps) ?? [])
  return {
    async close(timeoutMs) {
      await Promise.all(running.map((part) => part.close(timeoutMs)))
    },
  }
}
