import { CompiledQuery, sql } from 'kysely'
import t from 'tap'
import { CLAIM, createClaimer } from '../../../src/features/deliveries/dispatch/claim.ts'
import { pgArray } from '../../../src/platform/postgres/arrays.ts'
import { appendMany } from '../../helpers/owed.ts'
import { startService, type Client, type Service } from '../../helpers/service.ts'
import { measure } from '../../helpers/statements.ts'

const LEASE_MS = 60_000
const TAKEN = 100
/** So many rows make autovacuum look at a table for the first time, about. */
const FIRST_SEEN = 60
/** Blocks of all index descents and rows that one delivery may need, and those of a new index entry each. */
const PER_DELIVERY = 50
/** Blocks of a descent of the primary key in each of the partitions, and of the row. */
const PER_ROW = 12

async function owe(client: Client, service: Service, count: number) {
  const { id: subscriptionId } = await client.subscribe('http://127.0.0.1:9/')
  await appendMany(client, count)
  const { rows } = await sql<{ id: string }>`
    select id from deliveries where app_id = ${client.appId} order by position`.execute(service.platform.db)
  return { appId: client.appId, subscriptionId, ids: rows.map(({ id }) => id) }
}

t.test('a claim reads no more than it takes, whatever statistics say', async (t) => {
  const service = await startService(t, { worker: false })
  await owe(await service.client(), service, FIRST_SEEN)
  await sql`analyze`.execute(service.platform.db)
  // For the planner this is an app without rows.
  const { appId, subscriptionId, ids } = await owe(await service.client(), service, 3_000)
  const taken = ids.slice(1_500, 1_500 + TAKEN)
  const columns = [taken.map(() => appId), taken.map(() => subscriptionId), taken].map(pgArray.uuid)
  const { blocks, nodes } = await measure(
    service.platform.pool,
    CompiledQuery.raw(CLAIM, [...columns, LEASE_MS]),
  )
  t.ok(blocks <= TAKEN * PER_DELIVERY, `${blocks} blocks for ${TAKEN} deliveries`)
  t.notOk(nodes.includes('Seq Scan'), nodes.join(', '))
})

for (const known of [0, 1]) {
  t.test(`a row is found by its id when the planner knows of ${known}`, async (t) => {
    const service = await startService(t, { worker: false })
    const { db, pool } = service.platform
    const client = await service.client()
    if (known > 0) {
      await owe(client, service, known)
      await sql`analyze`.execute(db)
    }
    const { appId, ids } = await owe(client, service, 3_000)
    const found = await sql<{ event_id: string }>`
      select event_id from deliveries where app_id = ${appId} and id = ${ids[1_500]}`.execute(db)
    const wanted = { deliveries: ids[1_500], events: found.rows[0]?.event_id }
    for (const [table, id] of Object.entries(wanted)) {
      const statement = CompiledQuery.raw(`select * from ${table} where app_id = $1 and id = $2`, [appId, id])
      const { blocks, nodes } = await measure(pool, statement)
      t.ok(blocks <= PER_ROW, `${blocks} blocks of ${table}: ${nodes.join(', ')}`)
    }
  })
}

t.test('a delivery that is wanted twice at once is taken once', async (t) => {
  const service = await startService(t, { worker: false })
  const wanted = await owe(await service.client(), service, 10)
  const claimer = createClaimer(service.platform.pool, LEASE_MS)
  const [first, second] = await Promise.all([claimer.claim(wanted), claimer.claim(wanted)])
  t.same(
    first.map(({ id }) => id),
    wanted.ids,
    'in the order of the log',
  )
  t.same(second, [])
})
