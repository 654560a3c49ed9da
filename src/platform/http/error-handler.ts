import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorObject } from 'ajv'
import { OverloadedError } from '../micro-batcher.ts'
import { isUnavailable } from '../postgres/errors.ts'
import { Problem } from './problems.ts'
import { toViolations } from './violations.ts'

const RETRY_AFTER_SECONDS = '1'

/** Answers every error as `application/problem+json` (RFC 9457). What is not expected is logged, not shown. */
export function registerErrorHandler(app: FastifyInstance): void {
  app.setErrorHandler((error: unknown, request, reply) => sendProblem(reply, toProblem(error, request)))
  app.setNotFoundHandler((request, reply) => {
    const methods = allowedMethods(app, request)
    if (methods.length === 0) {
      return sendProblem(
        reply,
        new Problem('not-found', `There is nothing at ${request.url.split('?')[0]}. See /docs.`),
      )
    }
    void reply.header('allow', methods.join(', '))
    return sendProblem(reply, new Problem('method-not-allowed', `Use ${methods.join(' or ')}.`))
  })
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.status === 503) void reply.header('retry-after', RETRY_AFTER_SECONDS)
  if (problem.status === 401) void reply.header('www-authenticate', 'Bearer')
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}

function allowedMethods(app: FastifyInstance, request: FastifyRequest): string[] {
  const path = request.url.split('?')[0] ?? '/'
  return ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'].filter(
    (method) => method !== request.method && app.findRoute({ method: method, url: path }) !== null,
  )
}

interface ErrorLike {
  code?: string
  statusCode?: number
  message?: string
  validation?: ErrorObject[]
  validationContext?: string
}

/** The parts of a request by Fastify's names. */
const PARTS: Record<string, string> = {
  body: 'The body is',
  querystring: 'The query is',
  params: 'The path is',
  headers: 'The headers are',
}

/** The problem that an error is answered with; an unexpected one is logged here. */
export function toProblem(error: unknown, request: FastifyRequest): Problem {
  if (error instanceof Problem) return error
  if (error instanceof OverloadedError) {
    return new Problem('overloaded', 'Too many appends are waiting. Nothing was stored; try again shortly.')
  }
  const { code, statusCode, message, validation, validationContext } = error as ErrorLike
  if (validation) {
    return new Problem(
      'validation-failed',
      `${PARTS[validationContext ?? ''] ?? 'The request is'} not as expected: see "errors".`,
      toViolations(validation),
    )
  }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new Problem('payload-too-large', 'The body is larger than this route takes.')
  }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new Problem('unsupported-media-type', 'Send the body as application/json.')
  }
  if (code === 'FST_ERR_BAD_URL') {
    // Its own message has the whole URL, and so whatever is in the query.
    return new Problem('validation-failed', 'The path of the URL has a "%" that stands for nothing.')
  }
  if (isUnavailable(error)) {
    request.log.error({ error: message }, 'database unavailable')
    return new Problem(
      'unavailable',
      'The database went away. Whether the request took effect is not known: repeat it with the same Idempotency-Key.',
    )
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    request.log.info({ err: error }, 'request not understood')
    return new Problem('validation-failed', 'The request cannot be understood. See /docs for what is taken.')
  }
  request.log.error({ err: error }, 'request failed')
  return new Problem('internal', `It is in the log under request id ${request.id}.`)
}
