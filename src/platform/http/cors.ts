import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { createOriginCheck } from './origins.ts'
import { RATE_LIMIT_HEADERS } from './rate-limits.ts'

/** How long a browser may keep the answer to a preflight. */
const PREFLIGHT_SECONDS = 600

/**
 * Lets pages of some origins read answers: those of every route, with a key in a header. There are no cookies
 * to send, and what changes or deletes records by PATCH and DELETE is not for pages.
 *
 * Registered before whatever asks for a key: a preflight has none.
 */
export async function registerCors(app: FastifyInstance, allowedOrigins: readonly string[]): Promise<void> {
  const isAllowed = createOriginCheck(allowedOrigins)
  await app.register(cors, {
    // A page of the service's own host needs no permission to read.
    origin(origin: string | undefined, callback: (error: null, allowed: boolean) => void) {
      callback(null, origin !== undefined && isAllowed(origin, undefined))
    },
    methods: ['GET', 'POST'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', 'last-event-id'],
    exposedHeaders: [...RATE_LIMIT_HEADERS, 'idempotency-replayed'],
    maxAge: PREFLIGHT_SECONDS,
    // What is not quite a preflight is answered as one, rather than with an error of another form than ours.
    strictPreflight: false,
  })
}
