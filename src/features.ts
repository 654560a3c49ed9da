import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Deps } from './deps.ts'
import { apps } from './features/apps/index.ts'
import { deliveries } from './features/deliveries/index.ts'
import { events } from './features/events/index.ts'
import { operations } from './features/operations/index.ts'
import { subscriptions } from './features/subscriptions/index.ts'

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

/** All there is. */
export const features: readonly Feature[] = [operations, apps, events, subscriptions, deliveries]
