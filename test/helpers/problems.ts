import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import type { Answer, Client } from './service.ts'

/** What only the code, the server's files or its database would say. */
const INTERNAL = [
  /\n\s+at /,
  /node_modules|node:internal/,
  /\.[jt]s:\d+/,
  /\b(select|insert into|update|delete from) .+ (from|where|values|set)\b/i,
  /postgres|kysely|fastify|FST_ERR|relation "|violates|constraint|byte sequence/i,
]

export interface ExpectedProblem {
  status: number
  /** The last part of its `type`. */
  type: string
  /** JSON pointers that its `errors` must name, and no others. */
  pointers?: string[]
}

interface ProblemBody {
  type?: string
  title?: string
  status?: number
  detail?: string
  errors?: { pointer: string; detail: string }[]
}

/**
 * An answer must be a problem document (RFC 9457) of this kind with nothing internal in it.
 *
 * It reports only what is wrong: tables of cases would fill the report with what is right.
 */
export function expectProblem(t: Test, answer: Answer, expected: ExpectedProblem, what = 'answer'): void {
  const { title, detail, errors = [], ...body } = (answer.body ?? {}) as ProblemBody
  const pointers = [...new Set(errors.map(({ pointer }) => pointer))].toSorted()
  const found = {
    status: answer.status,
    contentType: String(answer.headers['content-type']).split(';')[0],
    authenticate: answer.headers['www-authenticate'],
    body,
    saysWhy: isText(title) && isText(detail) && errors.every((error) => isText(error.detail)),
    ...(expected.pointers && { pointers }),
    internal: INTERNAL.filter((pattern) => pattern.test(answer.text)).map(String),
  }
  const wanted = {
    status: expected.status,
    contentType: 'application/problem+json',
    authenticate: expected.status === 401 ? 'Bearer' : undefined,
    body: { type: `urn:heliograph:problem:${expected.type}`, status: expected.status },
    saysWhy: true,
    ...(expected.pointers && { pointers: expected.pointers.toSorted() }),
    internal: [],
  }
  if (!isDeepStrictEqual(found, wanted))
    t.strictSame(found, wanted, `${what}: ${expected.status} ${expected.type}`)
}

const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== ''

/**
 * The app's log must be empty, and untouched: the next event takes the first position. It reports only what
 * is wrong.
 */
export async function expectEmptyLog(t: Test, client: Client, what: string): Promise<void> {
  const { body: page } = await client.get('/events')
  const { body: next } = await client.post('/events', { type: 'proof.next', payload: {} })
  const found = { log: page.data, next: next.position }
  const wanted = { log: [], next: 1 }
  if (!isDeepStrictEqual(found, wanted)) t.strictSame(found, wanted, `${what}: nothing was stored`)
}
