import assert from 'node:assert/strict'
import type { Answer, Client } from './service.ts'

/** More pages than any test has, so that a cursor that goes in a circle is an error. */
const MAX_PAGES = 2_000

export interface ListedEvent {
  id: string
  position: number
  type: string
  status: string
  // oxlint-disable-next-line typescript/no-explicit-any -- payloads are looked into freely
  payload: any
  originEventId: string | null
}

export interface Pages<Row> {
  rows: Row[]
  /** How many rows each page had. */
  sizes: number[]
}

/**
 * Goes through all pages of a list.
 *
 * @param path with a query or without
 */
export async function readPages<Row = ListedEvent>(
  client: Pick<Client, 'get'>,
  path: string,
  betweenPages?: (answer: Answer) => Promise<unknown>,
): Promise<Pages<Row>> {
  const rows: Row[] = []
  const sizes: number[] = []
  const url = new URL(path, 'http://localhost')
  for (;;) {
    const answer = await client.get(url.pathname + url.search)
    assert.equal(answer.status, 200, `${url.search}: ${answer.text.slice(0, 300)}`)
    rows.push(...answer.body.data)
    sizes.push(answer.body.data.length)
    assert.ok(sizes.length < MAX_PAGES, 'the cursors come to an end')
    const { hasNextPage, endCursor } = answer.body.pageInfo
    if (!hasNextPage) return { rows, sizes }
    assert.notEqual(endCursor, url.searchParams.get('after'), 'the cursor goes on')
    url.searchParams.set('after', endCursor)
    await betweenPages?.(answer)
  }
}

/** The positions of all events of a list, in its order. */
export const positionsOf = async (client: Pick<Client, 'get'>, path: string): Promise<number[]> =>
  (await readPages(client, path)).rows.map(({ position }) => position)
