import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../../../platform/http/problems.ts'
import { grantOf } from './authenticate.ts'
import type { ConnectionLimits } from './connection-limits.ts'

/**
 * Counts an observer in for as long as its connection is open: a hook of the live routes.
 *
 * @throws Problem `too-many-connections` where there are too many of its app or its address
 */
export const countConnections =
  (limits: ConnectionLimits) =>
  async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const counted = limits.count(grantOf(request).appId, request.ip)
    if (typeof counted === 'string') {
      throw new Problem(
        'too-many-connections',
        `This ${counted} has as many live connections as it may have here. Try again later, or observe many rooms over one connection.`,
      )
    }
    const connection = request.ws ? request.raw.socket : reply.raw
    connection.on('close', counted)
  }
