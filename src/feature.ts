import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

/** Something that a worker runs until it is closed. */
export interface Running {
  /** Takes nothing new and waits for what is under way, for so many milliseconds at most. */
  close(timeoutMs: number): Promise<void>
}

/**
 * A vertical slice of the product. Its folder's `index.ts` is its only public face: a function of the platform and of
 * the features that it needs, which returns this, and beside it the services that other features may use.
 */
export interface Feature {
  /** Its part of the HTTP API. */
  routes?: FastifyPluginAsyncTypebox
  /** Starts what it runs in a worker: queue consumers and recurring jobs. */
  work?(): Running[]
  /** Ends what it holds in every process, once neither routes nor worker are left. */
  close?(): Promise<void>
}
