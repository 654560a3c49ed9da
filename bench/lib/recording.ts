import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { request } from 'undici'
import type { Environment, Stores } from './environment.ts'

const PRELOAD = join(import.meta.dirname, '../helpers/record-statements.ts')

/** A statement as the service sends it. */
export interface RecordedStatement {
  /** Of the request that ran it. */
  path: string
  text: string
  values: unknown[]
  /** Of a prepared statement. */
  name?: string | undefined
}

/**
 * Has a service of its own answer each path twice, and takes down what it asks of Postgres the second time, when
 * it knows the app.
 *
 * @returns the statements of each path, in the order in which they were sent
 * @throws Error when an answer is not a 2xx, or took no statement
 */
export async function recordStatements(
  environment: Environment,
  stores: Stores,
  key: string,
  paths: readonly string[],
): Promise<Map<string, RecordedStatement[]>> {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-statements-'))
  const file = join(folder, 'statements.jsonl')
  const preload = pathToFileURL(PRELOAD)
  preload.searchParams.set('to', pathToFileURL(file).href)
  try {
    const api = await environment.startApi(stores, ['--import', preload.href])
    const found = new Map<string, RecordedStatement[]>()
    for (const path of paths) {
      await read(api.url + path, key)
      const before = (await statementsOf(file, path)).length
      await read(api.url + path, key)
      const statements = (await statementsOf(file, path)).slice(before)
      if (statements.length === 0) throw new Error(`${path} was answered without a statement.`)
      found.set(path, statements)
    }
    await api.stop()
    return found
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function read(url: string, key: string): Promise<void> {
  const { statusCode, body } = await request(url, { headers: { authorization: `Bearer ${key}` } })
  const text = await body.text()
  if (statusCode >= 300) throw new Error(`${url}: ${statusCode} ${text}`)
}

async function statementsOf(file: string, path: string): Promise<RecordedStatement[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as RecordedStatement).filter((each) => each.path === path)
}
