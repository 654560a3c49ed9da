import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Deps } from './deps.ts'

/** Something that a worker runs until it is closed. */
export interface Running {
  /** Takes nothing new and waits for what is under way, for so many milliseconds at most. */
  close(timeoutMs: number): Promise<void>
}

/** A vertical slice of the product; its folder's `index.ts` is its only public face. */
export interface Feature {
  name: string
  /** Its part of the HTTP API. */
  routes?: (deps: Deps) => FastifyPluginAsyncTypebox
  /** What it runs in a worker: queue consumers and recurring jobs. */
  work?: (deps: Deps) => Running[]
}
