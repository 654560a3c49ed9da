import t, { type Test } from 'tap'
import { createLog } from '../../../src/platform/log/log.ts'
import { createDatabase, createPool, type Pool } from '../../../src/platform/postgres/pool.ts'
import { createProcessLease, MAX_PROCESSES, type ProcessLease } from '../../../src/platform/process/lease.ts'
import { createTestDatabase } from '../../helpers/environment.ts'
import { until } from '../../helpers/until.ts'

const log = createLog('silent', 'test')
/** Long enough that it does not end by itself on a busy machine. */
const LONG_MS = 120_000
const SHORT_MS = 900

interface Database {
  pool: Pool
  /** Another process, with connections of its own. */
  lease(t: Test, leaseMs?: number): Promise<ProcessLease>
  rows(): Promise<{ process_id: string; number: number; alive: boolean }[]>
}

async function openDatabase(t: Test): Promise<Database> {
  const url = await createTestDatabase()
  const open = (): Pool => {
    const pool = createPool(url, { size: 2, name: 'test', log })
    t.teardown(() => pool.end())
    return pool
  }
  const pool = open()
  return {
    pool,
    async lease(own, leaseMs = LONG_MS) {
      const lease = await createProcessLease({ db: createDatabase(open()), leaseMs, log })
      own.teardown(() => lease.close())
      return lease
    },
    async rows() {
      const { rows } = await pool.query(
        'select process_id, number, lease_until > clock_timestamp() as alive from process_leases order by number',
      )
      return rows
    },
  }
}

const numbersOf = (leases: readonly ProcessLease[]): number[] =>
  leases.map(({ number }) => number).toSorted((a, b) => a - b)

t.test('each process has the smallest number that is free', async (t) => {
  const database = await openDatabase(t)
  const before = Date.now()
  const [one, two, three] = [await database.lease(t), await database.lease(t), await database.lease(t)]
  t.strictSame([one.number, two.number, three.number], [0, 1, 2])
  t.equal(new Set([one, two, three].map(({ processId }) => processId)).size, 3)
  for (const lease of [one, two, three]) {
    t.ok(lease.isValid())
    t.ok(Math.abs(lease.databaseNow() - before) < 60_000, 'the time of the database')
  }
  t.strictSame(
    await database.rows(),
    [one, two, three].map(({ processId, number }) => ({ process_id: processId, number, alive: true })),
  )

  await two.close()
  t.notOk(two.isValid(), 'what was given back is not counted on')
  t.strictSame(numbersOf([one, three]), [0, 2])
  t.strictSame(
    (await database.rows()).map(({ number }) => number),
    [0, 2],
    'its row is gone',
  )
  t.equal((await database.lease(t)).number, 1, 'its number is the next that is given out')
})

t.test('many at once all have numbers of their own', async (t) => {
  const database = await openDatabase(t)
  const leases = await Promise.all(Array.from({ length: 24 }, () => database.lease(t)))
  t.strictSame(
    numbersOf(leases),
    leases.map((_, index) => index),
  )
  // Some go while others come.
  const leaving = leases.filter((_, index) => index % 3 === 0)
  const [coming] = await Promise.all([
    Promise.all(leaving.map(() => database.lease(t))),
    Promise.all(leaving.map((lease) => lease.close())),
  ])
  const all = [...leases.filter((lease) => !leaving.includes(lease)), ...coming]
  t.equal(new Set(numbersOf(all)).size, all.length)
  t.ok(all.every((lease) => lease.isValid()))
  t.strictSame(
    (await database.rows()).map(({ number }) => number),
    numbersOf(all),
  )
})

t.test('it is renewed, and its clock goes on', async (t) => {
  const database = await openDatabase(t)
  const lease = await database.lease(t, SHORT_MS)
  const untilOf = async (): Promise<number> => {
    const { rows } = await database.pool.query('select lease_until from process_leases')
    return rows[0].lease_until.getTime()
  }
  const first = await untilOf()
  let last = lease.databaseNow()
  await until(async () => {
    const now = lease.databaseNow()
    if (now < last) t.fail(`the clock went from ${last} to ${now}`)
    last = now
    return (await untilOf()) > first + SHORT_MS
  }, 'it lasts beyond what it was taken for')
  const before = lease.databaseNow()
  const { rows } = await database.pool.query('select extract(epoch from clock_timestamp()) * 1000 as now')
  t.ok(before < Number(rows[0].now), 'it never shows what the database does not show yet')
})

t.test('a lease that was lost is taken anew', async (t) => {
  const database = await openDatabase(t)
  const lease = await database.lease(t, SHORT_MS)
  const { processId } = lease
  let times = 0
  const end = lease.onRenewedAfterLoss(() => (times += 1))

  t.test('when its row was deleted and its number given to another', async (t) => {
    const { rows: given } = await database.pool.query(
      `update process_leases set process_id = gen_random_uuid(), lease_until = now() + interval '1 hour'
       returning process_id`,
    )
    await until(() => times >= 1, 'it was noticed')
    t.equal(lease.number, 1, 'the next that was free')
    t.equal(lease.processId, processId, 'it is the same process')
    await until(() => lease.isValid(), 'it counts')
    t.strictSame(
      (await database.rows()).map((row) => row.process_id),
      [given[0].process_id, processId],
    )
  })

  t.test('when it was over, and not taken by anyone', async (t) => {
    const heard = times
    // Until a renewal finds it so: one that is under way may overwrite it.
    await until(async () => {
      await database.pool.query('update process_leases set lease_until = now() where process_id = $1', [
        processId,
      ])
      return times > heard
    }, 'it was noticed')
    await until(() => lease.isValid(), 'it counts')
    t.equal(lease.number, 1)
  })

  t.test('until nobody wants to know any more', async (t) => {
    end()
    const heard = times
    await database.pool.query('delete from process_leases where process_id = $1', [processId])
    await until(async () => (await database.rows()).some((row) => row.process_id === processId), 'it is back')
    t.equal(times, heard)
  })
})

t.test('the leases of those that were killed are over by themselves', async (t) => {
  const database = await openDatabase(t)
  const kept = await database.lease(t)
  await database.pool.query(
    `insert into process_leases select gen_random_uuid(), n, now() + interval '1 hour' from generate_series(1, $1::int - 1) n`,
    [MAX_PROCESSES],
  )
  await t.rejects(database.lease(t), { message: /^There are 1024 Heliograph processes on this database/ })
  t.equal((await database.rows()).length, MAX_PROCESSES)

  await database.pool.query('update process_leases set lease_until = now() where number in (7, 500, 1023)')
  const [one, two] = [await database.lease(t), await database.lease(t)]
  t.strictSame([one.number, two.number], [7, 500])
  t.equal((await database.rows()).length, MAX_PROCESSES - 1, 'the third was cleared away with them')
  const last = await database.lease(t)
  t.equal(last.number, MAX_PROCESSES - 1)
  t.equal(kept.number, 0)
})

t.test('without the database it ends, and comes back with it', async (t) => {
  const url = await createTestDatabase()
  const name = new URL(url).pathname.slice(1)
  const pool = createPool(url, { size: 2, name: 'test', log })
  const admin = createPool(url.replace(name, 'postgres'), { size: 1, name: 'test', log })
  t.teardown(() => Promise.all([pool.end(), admin.end()]))
  const lease = await createProcessLease({ db: createDatabase(pool), leaseMs: SHORT_MS, log })
  let times = 0
  lease.onRenewedAfterLoss(() => (times += 1))
  const allow = async (allowed: boolean): Promise<void> => {
    await admin.query(`alter database ${name} allow_connections ${allowed}`)
    if (!allowed)
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  }

  await allow(false)
  await until(() => !lease.isValid(), 'it does not count any more')
  const shown = lease.databaseNow()
  await allow(true)
  await until(() => lease.isValid() && times > 0, 'it was taken anew')
  t.ok(lease.databaseNow() > shown, 'its clock went on meanwhile')

  await allow(false)
  await lease.close()
  t.pass('closing does not need the database')
  await allow(true)
})
