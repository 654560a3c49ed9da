import type { Feature, Running } from './feature.ts'
import type { Features } from './features.ts'

/** Starts every feature's consumers and recurring jobs. */
export function startWorker(features: Features): Running {
  const inOrder: Feature[] = Object.values(features)
  const running = inOrder.flatMap((feature) => feature.work?.() ?? [])
  return {
    async close(timeoutMs) {
      await Promise.all(running.map((part) => part.close(timeoutMs)))
    },
  }
}
