import type { Violation } from '../json-schema/json-schema.ts'

/**
 * Every error the API answers with: the closed list behind the `type` of RFC 9457 problem documents. A name
 * here is part of the contract and never changes its meaning.
 */
export const PROBLEMS = {
  'invalid-json': { status: 400, title: 'The body is not valid JSON' },
  'validation-failed': { status: 400, title: 'The request does not have the form it should have' },
  'invalid-cursor': { status: 400, title: 'The cursor is not one of this list' },
  unauthorized: { status: 401, title: 'A valid API key is needed' },
  'invalid-signature': { status: 401, title: 'The request is not signed by whom it should be' },
  forbidden: { status: 403, title: 'The API key does not have the scope for this' },
  'origin-not-allowed': { status: 403, title: 'Web pages of this origin may not do this' },
  'not-found': { status: 404, title: 'There is no such thing' },
  'method-not-allowed': { status: 405, title: 'This path does not take that method' },
  conflict: { status: 409, title: 'It is there already, with other content' },
  'content-unavailable': { status: 409, title: 'The content of this file is not to be had here' },
  'idempotency-conflict': { status: 409, title: 'This key was used for another request' },
  'content-gone': { status: 410, title: 'The platform does not have the content any more' },
  'payload-too-large': { status: 413, title: 'The body is larger than allowed' },
  'unsupported-media-type': { status: 415, title: 'The body is not in a form that is taken here' },
  'reserved-event-type': { status: 422, title: 'This event type is reserved' },
  'unknown-event-type': { status: 422, title: 'This event type is not registered' },
  'too-many-event-types': { status: 422, title: 'The app has as many event types as it may have' },
  'schema-violation': { status: 422, title: 'The payload does not match the schema of its event type' },
  'invalid-schema': { status: 422, title: 'The JSON Schema cannot be used' },
  'unknown-reference': { status: 422, title: 'Something that the request names does not exist' },
  'link-code-refused': { status: 422, title: 'The link code cannot be used' },
  'unknown-origin': { status: 422, title: 'The origin event does not exist' },
  'invalid-destination': { status: 422, title: 'The destination cannot be used' },
  'invalid-filter': { status: 422, title: 'The filter cannot be used' },
  'invalid-transformation': { status: 422, title: 'The transformation cannot be used' },
  'invalid-subscription': { status: 422, title: 'These settings do not go together' },
  'query-too-costly': { status: 422, title: 'The query asks for too much at once' },
  'upgrade-required': { status: 426, title: 'This path is for WebSockets' },
  'too-many-connections': { status: 429, title: 'There are too many live connections' },
  'too-many-requests': { status: 429, title: 'That was more often than allowed' },
  internal: { status: 500, title: 'Something went wrong here' },
  'platform-refused': { status: 502, title: 'The platform did not give what was asked of it' },
  'content-too-large': { status: 502, title: 'The content is larger than allowed' },
  overloaded: { status: 503, title: 'Too much is waiting; try again shortly' },
  unavailable: { status: 503, title: 'The database cannot be reached; try again shortly' },
  'platform-timeout': { status: 504, title: 'The platform did not answer in time' },
} as const

/** A problem lists so many of the things that are wrong. */
export const MAX_ERRORS = 100

export type ProblemName = keyof typeof PROBLEMS

/** The `type` of a problem: a URN, so that it stays the same wherever the service runs. */
export const problemType = (name: ProblemName): string => `urn:heliograph:problem:${name}`

/** Thrown anywhere below a route to answer with a problem document. */
export class Problem extends Error {
  override name = 'Problem'
  readonly problem: ProblemName
  readonly errors: readonly Violation[] | undefined

  /**
   * @param detail what is wrong with this very request and what to do about it, for a person
   * @param errors each thing that is wrong, with a JSON pointer into the body; the first hundred are kept
   */
  constructor(problem: ProblemName, detail: string, errors?: readonly Violation[]) {
    super(detail)
    this.problem = problem
    this.errors = errors?.slice(0, MAX_ERRORS)
  }

  get status(): number {
    return PROBLEMS[this.problem].status
  }

  toJSON(): object {
    const { status, title } = PROBLEMS[this.problem]
    return {
      type: problemType(this.problem),
      title,
      status,
      detail: this.message,
      ...(this.errors && { errors: this.errors }),
    }
  }
}

export const notFound = (what: string): Problem =>
  new Problem('not-found', `There is no ${what} with this id.`)
