import type { FastifyReply, FastifyRequest } from 'fastify'

/**
 * Says of an answer, before it is made, what caches and browsers may not do with it: keep what a key was needed for, or
 * take it for another type than it says. A route that knows better sets headers of its own.
 */
export function protectAnswer(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header('x-content-type-options', 'nosniff')
  const { access = 'public' } = request.routeOptions.config
  if (access !== 'public' || request.headers.authorization !== undefined) {
    void reply.header('cache-control', 'no-store')
  }
}
