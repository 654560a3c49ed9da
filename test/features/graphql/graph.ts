import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { expectProblem, type ExpectedProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, type Answer, type Client, type Service } from '../../helpers/service.ts'

type Json = Answer['body']

export interface GraphError {
  message: string
  path?: (string | number)[]
  locations?: { line: number; column: number }[]
  extensions: { type: string; title: string; status: number; errors?: { pointer: string; detail: string }[] }
}

export interface GraphAnswer {
  data: Json
  errors: GraphError[]
  /** As HTTP has it. */
  answer: Answer
}

/** Whoever may send requests. */
export type Asker = Pick<Client, 'post'>

/** Asks GraphQL. @throws Error for an answer that is none of GraphQL's */
export async function ask(
  client: Asker,
  query: string,
  variables?: object,
  operationName?: string,
): Promise<GraphAnswer> {
  const answer = await client.post('/graphql', { query, variables, operationName })
  if (answer.status !== 200) throw new Error(answer.text)
  return { data: answer.body.data, errors: answer.body.errors ?? [], answer }
}

/** What was asked for. @throws Error when there was any error */
export async function dataOf(client: Asker, query: string, variables?: object): Promise<Json> {
  const { data, errors } = await ask(client, query, variables)
  if (errors.length > 0) throw new Error(JSON.stringify(errors))
  return data
}

/** The query of a file in `fixtures/`, with other ids than it has. */
export function fixture(name: string, ids: Record<string, string> = {}): string {
  let text = readFileSync(join(import.meta.dirname, 'fixtures', `${name}.graphql`), 'utf8')
  for (const [documented, id] of Object.entries(ids)) text = text.replaceAll(documented, id)
  return text
}

export interface ExpectedError extends ExpectedProblem {
  path?: (string | number)[]
}

/**
 * An error must be the problem that REST has, with nothing internal anywhere in the answer. It reports only
 * what is wrong.
 */
export function expectGraphProblem(
  t: Test,
  { errors, answer }: GraphAnswer,
  expected: ExpectedError,
  what: string,
): void {
  const { path, ...problem } = expected
  const [error] = errors
  if (!error || errors.length !== 1) {
    t.equal(errors.length, 1, `${what}: one error instead of ${answer.text.slice(0, 300)}`)
    return
  }
  const { message, extensions } = error
  const asRest: Answer = {
    ...answer,
    status: extensions.status,
    headers: { 'content-type': 'application/problem+json' },
    body: { ...extensions, detail: message },
  }
  expectProblem(t, asRest, problem, what)
  if (path && JSON.stringify(error.path) !== JSON.stringify(path))
    t.strictSame(error.path, path, `${what}: path`)
}

/** A client with a key of the same app that has only some scopes. */
export async function withScopes(
  service: Pick<Service, 'url'>,
  { appId }: Pick<Client, 'appId'>,
  scopes: readonly string[],
): Promise<Pick<Client, 'get' | 'post'>> {
  const { body } = await call(service.url, 'POST', `/apps/${appId}/api-keys`, {
    key: ADMIN_KEY,
    body: { name: scopes.join(' '), scopes },
  })
  const key: string = body.apiKey
  return {
    get: (path) => call(service.url, 'GET', path, { key }),
    post: (path, content, headers) =>
      call(service.url, 'POST', path, { key, body: content, ...(headers && { headers }) }),
  }
}

/** Some members of an object, or null for none. */
export const pick = (from: Json, ...names: string[]): Json =>
  from ? Object.fromEntries(names.map((name) => [name, from[name]])) : null

export const nodesOf = (connection: { edges: { node: Json }[] }): Json[] =>
  connection.edges.map(({ node }) => node)
