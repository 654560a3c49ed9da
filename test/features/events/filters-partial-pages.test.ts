import t, { type Test } from 'tap'
import { declared } from '../../helpers/declared.ts'
import { MAX_LOOKED_AT } from '../../../src/features/events/list/query.ts'
import { createEventReader } from '../../../src/features/events/reads.ts'
import { createGlobalTypes } from '../../../src/features/events/types/global-types.ts'
import { createEventTypeService } from '../../../src/features/events/types/service.ts'
import { readPages } from '../../helpers/pages.ts'
import { startService, type Client, type Service } from '../../helpers/service.ts'
import { createWatchedDatabase } from '../../helpers/statements.ts'

const HEAD = 2.5 * MAX_LOOKED_AT
/** Where the few events are that a filter takes. */
const MARKED = [
  1,
  2,
  4_999,
  5_000,
  MAX_LOOKED_AT,
  MAX_LOOKED_AT + 1,
  15_001,
  2 * MAX_LOOKED_AT,
  HEAD - 1,
  HEAD,
]

/** Events that the database makes; those at some positions have a payload of their own, and are dead. */
async function fill(service: Service, appId: string, from: number, to: number, marked: readonly number[]) {
  const { pool } = service.platform
  await pool.query(
    `insert into events (app_id, id, position, event_type_id, type, payload, edges, created_at)
     select $1, (left(first_id_at(now())::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, n, $1, 'some.' || n % 20,
            (case when n = any($4) then '{"marked":true}' else '{}' end)::json, '[]', now()
       from generate_series($2::int, $3::int) n`,
    [appId, from, to, marked],
  )
  await pool.query(
    `insert into event_edges (app_id, event_id, ordinal, type, target_type, target_id, position)
     select app_id, id, 0, 'about', 'room', '1', position from events where app_id = $1 and position between $2 and $3`,
    [appId, from, to],
  )
  await pool.query('update app_logs set head = $2 where app_id = $1', [appId, to])
}

t.test('a page that finds little ends early, and its cursor goes on', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  await fill(service, client.appId, 1, HEAD, MARKED)
  const types = Array.from({ length: 20 }, (_, n) => `type=some.${n}`).join('&')
  const filters: Record<string, string> = {
    'of all events': '',
    'of one edge': '&edge=about:room:1',
    'of any edge': '&edge=*:room:1',
    'of twenty types': `&${types}`,
    'of few types': `&${types.split('&').slice(0, 5).join('&')}`,
    'of a time': '&createdAtGte=2020-01-01T00:00:00Z',
  }
  for (const [name, filter] of Object.entries(filters)) {
    for (const order of ['asc', 'desc']) {
      for (const limit of [3, 100]) {
        const query = `/events?payload=${encodeURIComponent('{"marked":true}')}&limit=${limit}&order=${order}${filter}`
        const { rows, sizes } = await readPages(client, query)
        const wanted = MARKED.filter((position) => name !== 'of few types' || position % 20 < 5)
        t.strictSame(
          rows.map(({ position }) => position),
          order === 'asc' ? wanted : wanted.toReversed(),
          `${name}, ${order}, ${limit} at a time: pages of ${sizes.join(', ')}`,
        )
      }
    }
  }
  const { body: first } = await client.get(`/events?payload=${encodeURIComponent('{"marked":false}')}`)
  t.strictSame(first.data, [])
  t.equal(first.pageInfo.hasNextPage, true, 'an empty page, but not the last')
})

t.test('pages of a status that few events have', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const head = 1.2 * MAX_LOOKED_AT
  await fill(service, client.appId, 1, head, [])
  // All were tried and wait for another attempt, but for the first and the last.
  await service.platform.pool.query(
    `insert into deliveries (app_id, id, event_id, position, subscription_id, attempts, created_at,
                             next_attempt_at, due_at)
     select app_id, id, id, position, app_id, case when position in (1, $2) then 0 else 1 end, now(), now(), now()
       from events where app_id = $1`,
    [client.appId, head],
  )
  for (const order of ['asc', 'desc']) {
    const positions = async (status: string) =>
      (await readPages(client, `/events?limit=50&order=${order}&status=${status}`)).rows.map(
        (event) => event.position,
      )
    t.strictSame(await positions('pending'), order === 'asc' ? [1, head] : [head, 1], `pending, ${order}`)
    t.strictSame(await positions('completed'), [], `completed, ${order}`)
    t.strictSame(await positions('failed'), [], `failed, ${order}`)
  }
})

/** Goes through all pages while something happens after the first statement of each that reads events. */
async function readWhile(
  service: Service,
  client: Client,
  filter: { payload?: string; status?: 'pending' },
  order: 'asc' | 'desc',
  happens: () => Promise<void>,
): Promise<number[]> {
  let page = 0
  let happened = 0
  const db = createWatchedDatabase(service.platform.pool, async ({ sql }) => {
    if (!/^\s*(select|with)/i.test(sql) || !sql.includes('join lateral') || happened >= page) return
    happened = page
    await happens()
  })
  const reader = createEventReader(
    db,
    service.platform.pool,
    createEventTypeService(db, createGlobalTypes(declared)),
  )
  const positions: number[] = []
  let after: number | undefined
  for (page = 1; page < 100; page++) {
    const { rows, pageInfo } = await reader.list(client.appId, { filter, order, size: 10, after })
    positions.push(...rows.map(({ position }) => position))
    if (!pageInfo.hasNextPage) return positions
    after = Number(Buffer.from(pageInfo.endCursor ?? '', 'base64url').toString())
  }
  throw new Error('The cursors do not come to an end.')
}

t.test(
  'a page that ends early has the cursor of what it looked at, whatever happens meanwhile',
  async (t) => {
    const service = await startService(t, { worker: false })
    const marked = { payload: '{"marked":true}' }
    const prepare = async (head: number, at: number[]): Promise<Client> => {
      const client = await service.client()
      await fill(service, client.appId, 1, head, at)
      return client
    }

    const once = (run: () => Promise<void>): (() => Promise<void>) => {
      let done = false
      return async () => {
        if (done) return
        done = true
        await run()
      }
    }
    const same = (t: Test, found: number[], wanted: number[]) => t.strictSame(found, wanted)

    await t.test('events are appended behind a reader who goes forward', async (t) => {
      const near = MAX_LOOKED_AT - 10
      const client = await prepare(near, [1])
      const grow = once(() => fill(service, client.appId, near + 1, near + 30, [near + 1, near + 30]))
      const first = await readWhile(service, client, marked, 'asc', grow)
      // Whether the walk sees what was appended meanwhile is open; it must not see only some of it.
      same(t, first, first.length === 1 ? [1] : [1, near + 1, near + 30])
    })

    await t.test('events are appended before a reader who goes back', async (t) => {
      const head = MAX_LOOKED_AT + 100
      const client = await prepare(head, [50, 101, 103])
      const grow = once(() => fill(service, client.appId, head + 1, head + 20, []))
      same(t, await readWhile(service, client, marked, 'desc', grow), [103, 101, 50])
    })

    await t.test('deliveries end while their events are listed', async (t) => {
      const head = MAX_LOOKED_AT + 100
      const client = await prepare(head, [])
      await service.platform.pool.query(
        `insert into deliveries (app_id, id, event_id, position, subscription_id, attempts, created_at,
                               next_attempt_at, due_at)
       select app_id, id, id, position, app_id, case when position = 3 then 0 else 1 end, now(), now(), now()
         from events where app_id = $1`,
        [client.appId],
      )
      const end = once(async () => {
        await service.platform.pool.query(
          `update deliveries set status = 'succeeded', completed_at = now() where app_id = $1 and position > 5000`,
          [client.appId],
        )
      })
      same(t, await readWhile(service, client, { status: 'pending' }, 'desc', end), [3])
    })
  },
)
