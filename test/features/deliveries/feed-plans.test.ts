import { CompiledQuery } from 'kysely'
import t, { type Test } from 'tap'
import { READY, READY_IN_ORDER } from '../../../src/features/deliveries/flow/ready.ts'
import { newId } from '../../../src/platform/identifiers/ids.ts'
import { createLog } from '../../../src/platform/log/log.ts'
import { createPool, type Pool } from '../../../src/platform/postgres/pool.ts'
import { createTestDatabase } from '../../helpers/environment.ts'
import { measure } from '../../helpers/statements.ts'

const SMALL = 200
const LARGE = 10_000
/** Partitions, of which only one has rows, and the blocks of a descent in an index and to its row. */
const DESCENT = 5 * 4
const TAKEN = 100
const RUN = 50
/** Keys that a feed takes some of. */
const KEYS = 64

const [app, subscription] = [newId(), newId()]

/** Adds deliveries as SQL says them, of numbers `n` from 1. */
async function add(pool: Pool, count: number, columns: { status?: string; due?: string; key: string }) {
  const { status = 'pending', due = 'infinity', key } = columns
  await pool.query(
    `insert into deliveries (app_id, id, event_id, subscription_id, position, status, created_at, next_attempt_at,
                             due_at, completed_at, ordering_key)
     select $1, (lpad(to_hex(extract(epoch from now())::bigint * 1000), 12, '0') || '7000' ||
                 right(replace(gen_random_uuid()::text, '-', ''), 16))::uuid, gen_random_uuid(), $2,
            (select coalesce(max(position), 0) from deliveries) + n, $3, now(), now(), $4::timestamptz,
            case when $3 <> 'pending' then now() end, ${key}
       from generate_series(1, $5::int) n`,
    [app, subscription, status, due, count],
  )
}

async function expectAtMost(t: Test, pool: Pool, name: string, most: number, isHolding?: boolean) {
  const compiled =
    isHolding === undefined
      ? { sql: READY, parameters: [app, subscription, TAKEN] }
      : { sql: READY_IN_ORDER, parameters: [app, subscription, TAKEN, isHolding, null] }
  const statement = CompiledQuery.raw(compiled.sql, compiled.parameters)
  const { rowCount } = await pool.query(compiled.sql, compiled.parameters)
  const { blocks, nodes } = await measure(pool, statement)
  t.ok(blocks <= most, `${name}: ${blocks} blocks for ${rowCount} rows, at most ${most}`)
  t.notOk(nodes.includes('Seq Scan'), `${name}: ${nodes.join(', ')}`)
  return rowCount
}

for (const size of [SMALL, LARGE]) {
  t.test(`what a feed looks at does not grow with what waits: ${size}`, async (t) => {
    const pool = createPool(await createTestDatabase(), {
      size: 1,
      name: 'test',
      log: createLog('silent', 'test'),
    })
    t.teardown(() => pool.end())
    await add(pool, size, { status: 'dead', key: `'dead'` })
    await add(pool, size, { status: 'succeeded', key: `'done'` })
    await add(pool, size, { key: `'one'` })
    const one = RUN + 10 * DESCENT
    t.equal(await expectAtMost(t, pool, 'one key', one, false), RUN)
    t.equal(await expectAtMost(t, pool, 'one key, where the dead hold', one + RUN * DESCENT, true), RUN)
    t.equal(await expectAtMost(t, pool, 'no order', TAKEN + 3 * DESCENT), TAKEN)

    await add(pool, size, { key: `'two' || n` })
    const many = KEYS * (1 + 4 * DESCENT)
    t.equal(await expectAtMost(t, pool, 'many keys', many, false), TAKEN)

    // A key that is waited for costs the look at its first, whatever stands behind it.
    await add(pool, size, { key: `'dead'` })
    await pool.query(`update deliveries set due_at = now() where ordering_key = 'one'
                         and position = (select min(position) from deliveries where ordering_key = 'one')`)
    t.equal(await expectAtMost(t, pool, 'behind what waits', many, true), KEYS)
    await pool.query(`delete from deliveries where ordering_key like 'two%'`)
    await pool.query('vacuum deliveries')
    t.equal(await expectAtMost(t, pool, 'nothing but what waits', 20 * DESCENT, true), 0)
  })
}
