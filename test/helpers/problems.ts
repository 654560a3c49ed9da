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

/** An answer must be a problem document (RFC 9457) of this kind with nothing internal in it. */
export function expectProblem(t: Test, answer: Answer, expected: ExpectedProblem, what: string): void {
  const { title, detail, errors = [], ...body } = (answer.body ?? {}) as ProblemBody
  const pointers = [...new Set(errors.map(({ pointer }) => pointer))].toSorted()
  const contentType = String(answer.headers['content-type'])
  t.strictSame(
    {
      status: answer.status,
      contentType: contentType.split(';')[0],
      body,
      saysWhy: isText(title) && isText(detail) && errors.every((error) => isText(error.detail)),
      ...(expected.pointers && { pointers }),
      internal: INTERNAL.filter((pattern) => pattern.test(answer.text)).map(String),
    },
    {
      status: expected.status,
      contentType: 'application/problem+json',
      body: { type: `urn:heliograph:problem:${expected.type}`, status: expected.status },
      saysWhy: true,
      ...(expected.pointers && { pointers: expected.pointers.toSorted() }),
      internal: [],
    },
    `${what}: ${expected.status} ${expected.type}`,
  )
}

const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== ''

/** The app's log must be empty, and untouched: the next event takes the first position. */
export async function expectEmptyLog(t: Test, client: Client, what: string): Promise<void> {
  const { body: page } = await client.get('/events')
  const { body: next } = await client.post('/events', { type: 'proof.next', payload: {} })
  t.strictSame({ log: page.data, next: next.position }, { log: [], next: 1 }, `${what}: nothing was stored`)
}
