import type { FastifyReply, FastifyRequest } from 'fastify'

/** How long browsers may use what they have without asking, in seconds. */
const MAX_AGE = 300

/**
 * Lets anyone keep an answer, under the tag of its content.
 *
 * @param etag in quotes (RFC 9110, 8.8.3)
 * @returns whether the client has it already; the answer is then 304, without a body
 */
export function keepAnswer(request: FastifyRequest, reply: FastifyReply, etag: string): boolean {
  void reply.headers({ etag, 'cache-control': `public, max-age=${MAX_AGE}` })
  const isKept = request.headers['if-none-match'] === etag
  if (isKept) void reply.code(304)
  return isKept
}
