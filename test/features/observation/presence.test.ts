import fc from 'fast-check'
import { sql } from 'kysely'
import t from 'tap'
import type { PresenceChange } from '../../../src/features/observation/contracts.ts'
import {
  createPresenceStore,
  type PresenceWrite,
  type StoredChange,
} from '../../../src/features/observation/presence/presence-store.ts'
import { createTestDatabase, createTestRedis } from '../../helpers/environment.ts'
import { openLiveProcess, type LiveProcess } from '../../helpers/live-process.ts'
import { startScript } from '../../helpers/processes.ts'
import { BACKENDS } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** Long enough for a busy machine to renew in time. */
const LEASE_MS = 3_000

const uuid = (): string => crypto.randomUUID()
const member = (id: string, info: string | null = null) => ({ id, info })

/** A process with every change it was told of, as `room change member`. */
function watch(process: LiveProcess, appId: string) {
  const seen: string[] = []
  process.presence.onChange((change: PresenceChange) => {
    if (change.appId === appId) seen.push(`${change.room} ${change.change} ${change.member.id}`)
  })
  return seen
}

for (const backend of BACKENDS) {
  t.test(`presence, ${backend}`, async (t) => {
    const databaseUrl = await createTestDatabase()
    const redisUrl = backend === 'redis' ? await createTestRedis() : undefined
    const open = () => openLiveProcess(databaseUrl, redisUrl, LEASE_MS)
    const one = await open()
    const other = await open()
    t.teardown(() => Promise.all([one.close(), other.close()]))

    const ids = async (from: LiveProcess, appId: string, room: string): Promise<string> =>
      (await from.presence.list(appId, room, 1_000)).map(({ id }) => id).join()
    const untilThere = (from: LiveProcess, appId: string, room: string, expected: string) =>
      until(async () => (await ids(from, appId, room)) === expected, `${room} has "${expected}"`)

    /** Resolves once both processes were told of what either of them did before. */
    async function barrier(appId: string, ...seen: string[][]): Promise<void> {
      for (const from of [one, other]) {
        const room = `barrier/${uuid()}`
        const connection = uuid()
        from.presence.enter(appId, room, connection, member('x'))
        await until(() => seen.every((list) => list.includes(`${room} join x`)), 'the barrier was seen')
      }
      for (const list of seen)
        list.splice(0, list.length, ...list.filter((change) => !change.startsWith('barrier/')))
    }

    /** The bus is at most once, and a subscription takes a moment. */
    async function untilConnected(): Promise<void> {
      const appId = uuid()
      const seen = [watch(one, appId), watch(other, appId)]
      for (const from of [one, other]) {
        await until(() => {
          from.presence.enter(appId, uuid(), uuid(), member(from.lease.processId))
          return seen.every((list) => list.some((change) => change.endsWith(from.lease.processId)))
        }, 'both hear each other')
      }
    }
    await untilConnected()

    t.test('a member with several connections is there once', async (t) => {
      const appId = uuid()
      const [first, second] = [uuid(), uuid()]
      const seen = [watch(one, appId), watch(other, appId)]
      one.presence.enter(appId, 'r', first, member('ada', '{"n":1}'))
      await untilThere(other, appId, 'r', 'ada')
      other.presence.enter(appId, 'r', second, member('ada', '{"n": 12345678901234567890}'))
      other.presence.enter(appId, 'r', uuid(), member('bob'))
      await untilThere(one, appId, 'r', 'ada,bob')
      t.strictSame(
        await one.presence.list(appId, 'r', 1_000),
        [member('ada', '{"n": 12345678901234567890}'), member('bob')],
        'with the info of the newest connection, as it was given',
      )
      t.strictSame(await one.presence.list(appId, 'r', 1), [member('ada', '{"n": 12345678901234567890}')])
      one.presence.leave(appId, 'r', first, member('ada'))
      await barrier(appId, ...seen)
      other.presence.leave(appId, 'r', second, member('ada'))
      await untilThere(one, appId, 'r', 'bob')
      await barrier(appId, ...seen)
      for (const list of seen) {
        t.strictSame(list.toSorted(), ['r join ada', 'r join bob', 'r leave ada'])
        t.ok(list.indexOf('r join ada') < list.indexOf('r leave ada'))
      }
    })

    t.test('apps and rooms are apart', async (t) => {
      const [appId, otherApp] = [uuid(), uuid()]
      const seen = watch(other, otherApp)
      const connection = uuid()
      one.presence.enter(appId, 'r', connection, member('ada'))
      one.presence.enter(appId, 'r/s', connection, member('ada'))
      one.presence.enter(otherApp, 'q', connection, member('eve'))
      await untilThere(other, appId, 'r', 'ada')
      await untilThere(other, otherApp, 'q', 'eve')
      one.presence.leave(appId, 'r', connection, member('ada'))
      await untilThere(other, appId, 'r', '')
      t.equal(await ids(other, appId, 'r/s'), 'ada')
      t.equal(await ids(other, otherApp, 'r'), '')
      await until(() => seen.length > 0, 'it was told')
      t.strictSame(seen, ['q join eve'])
    })

    t.test('what was said last counts', async (t) => {
      const appId = uuid()
      const seen = watch(one, appId)
      const connections = Array.from({ length: 300 }, uuid)
      for (const [index, connection] of connections.entries()) {
        const who = member(`m${index}`)
        one.presence.enter(appId, 'r', connection, who)
        one.presence.leave(appId, 'r', connection, who)
        if (index % 100 === 0) one.presence.enter(appId, 'r', connection, who)
      }
      one.presence.leave(appId, 'r', uuid(), member('nobody'))
      await untilThere(other, appId, 'r', 'm0,m100,m200')
      await until(() => seen.length >= 3, 'they were told of')
      t.strictSame(seen, ['r join m0', 'r join m100', 'r join m200'])
    })

    t.test('one that cannot be recorded does not keep the others out', async (t) => {
      const appId = uuid()
      for (const id of ['a', 'b\0', 'c']) one.presence.enter(appId, 'r', uuid(), member(id))
      await untilThere(other, appId, 'r', 'a,c')
      t.pass('the others are there')
    })

    t.test('at random, in two processes, while connections to the database break', async (t) => {
      const appId = uuid()
      const seen = [watch(one, appId), watch(other, appId)]
      const present = new Map<string, { from: LiveProcess; connection: string; id: string }>()
      for (let round = 0; round < 20; round++) {
        for (let step = 0; step < 30; step++) {
          const from = Math.random() < 0.5 ? one : other
          const id = `m${Math.floor(Math.random() * 5)}`
          const leaving = [...present].find(([, entry]) => entry.id === id)
          if (leaving && Math.random() < 0.6) {
            const [connection, entry] = leaving
            entry.from.presence.leave(appId, 'r', connection, member(id))
            present.delete(connection)
          } else {
            const connection = uuid()
            from.presence.enter(appId, 'r', connection, member(id))
            present.set(connection, { from, connection, id })
          }
        }
        if (round % 5 === 0) {
          await sql`select pg_terminate_backend(pid) from pg_stat_activity
                     where datname = current_database() and pid <> pg_backend_pid()
                       and query like '%presence%'`.execute(other.db)
        }
        // Meanwhile some of it is written.
        await other.presence.list(appId, 'r', 10)
      }
      const expected = [...new Set([...present.values()].map(({ id }) => id))].toSorted().join()
      await untilThere(one, appId, 'r', expected)
      await untilConnected()
      t.ok(seen[0]?.length, 'changes were told, and are told again')
    })

    t.test('of processes that race one tells of each change', async (t) => {
      const store = createPresenceStore(one.db)
      const processIds = [uuid(), uuid()]
      await sql`insert into process_leases select id, 1000 + place, now() + interval '1 hour'
                  from unnest(${processIds}::uuid[]) with ordinality as t (id, place)`.execute(one.db)
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ writer: fc.nat(3), member: fc.nat(1), present: fc.boolean() }), {
            maxLength: 40,
          }),
          async (steps) => {
            const appId = uuid()
            const connections = Array.from({ length: 8 }, uuid)
            const expected = new Map<string, string>()
            const changes: StoredChange[] = []
            const writers = [0, 1, 2, 3].map(async (writer) => {
              for (const step of steps.filter((each) => each.writer === writer)) {
                const connectionId = connections[writer * 2 + step.member] as string
                const memberId = `m${step.member}`
                const write: PresenceWrite = {
                  appId,
                  room: 'r',
                  memberId,
                  connectionId,
                  info: null,
                  present: step.present,
                }
                if (step.present) expected.set(connectionId, memberId)
                else expected.delete(connectionId)
                const processId = processIds[writer % 2] as string
                changes.push(...(await store.write(processId, [write])))
              }
            })
            await Promise.all(writers)
            const told = new Set<string>()
            for (const {
              change,
              member: { id },
            } of changes.toSorted((a, b) => a.version - b.version)) {
              if (told.has(id) !== (change === 'leave')) return false
              if (change === 'join') told.add(id)
              else told.delete(id)
            }
            const listed = (await store.list(appId, 'r', 10)).map(({ id }) => id).join()
            await sql`delete from presence where app_id = ${appId}::uuid`.execute(one.db)
            return (
              listed === [...told].toSorted().join() &&
              listed === [...new Set(expected.values())].toSorted().join()
            )
          },
        ),
        { numRuns: 30 },
      )
      await sql`delete from process_leases where process_id = any(${processIds}::uuid[])`.execute(one.db)
      t.pass('no two of them told the same')
    })

    t.test('rows that the database lost are made anew, and nobody is told', async (t) => {
      const appId = uuid()
      const seen = [watch(one, appId), watch(other, appId)]
      for (const id of ['a', 'b', 'c']) one.presence.enter(appId, 'r', uuid(), member(id))
      await untilThere(other, appId, 'r', 'a,b,c')
      await barrier(appId, ...seen)
      for (const list of seen) list.length = 0
      await sql`truncate presence`.execute(other.db)
      await untilThere(other, appId, 'r', 'a,b,c')
      await barrier(appId, ...seen)
      for (const list of seen) t.strictSame(list, [])
    })

    t.test('processes that are killed, or that stop and go on', async (t) => {
      const appId = uuid()
      const seen = [watch(one, appId), watch(other, appId)]
      const environment = {
        DATABASE_URL: databaseUrl,
        LEASE_MS: String(LEASE_MS),
        ...(redisUrl && { REDIS_URL: redisUrl }),
      }
      const start = async (...members: string[]) => {
        const script = 'test/helpers/live-process-main.ts'
        const started = startScript(t, [script, appId, 'r', ...members], environment)
        await until(() => started.output.includes('all are there'), 'it has started')
        return started
      }
      const [killed, stopped] = await Promise.all([start('k1', 'k2', 'both'), start('s1', 'both')])
      await barrier(appId, ...seen)
      for (const list of seen)
        t.strictSame(list.toSorted(), ['r join both', 'r join k1', 'r join k2', 'r join s1'])
      const keeper = uuid()
      one.presence.enter(appId, 'r', keeper, member('both'))
      await barrier(appId, ...seen)

      for (const list of seen) list.length = 0
      stopped.child.kill('SIGSTOP')
      await killed.end('SIGKILL')
      await untilThere(one, appId, 'r', 'both')
      await until(() => seen.every((list) => list.length >= 3), 'all were told')
      await barrier(appId, ...seen)
      for (const list of seen)
        t.strictSame(list.toSorted(), ['r leave k1', 'r leave k2', 'r leave s1'], 'each once')
      const { rows } = await sql`select from process_leases`.execute(one.db)
      t.equal(rows.length, 2, 'their leases are gone')

      for (const list of seen) list.length = 0
      stopped.child.kill('SIGCONT')
      await untilThere(one, appId, 'r', 'both,s1')
      await until(() => seen.every((list) => list.length > 0), 'it was told')
      await barrier(appId, ...seen)
      for (const list of seen) t.strictSame(list, ['r join s1'])

      one.presence.leave(appId, 'r', keeper, member('both'))
      await stopped.end('SIGTERM')
      await untilThere(one, appId, 'r', '')
      await barrier(appId, ...seen)
      for (const list of seen) t.strictSame(list.toSorted(), ['r join s1', 'r leave both', 'r leave s1'])
    })

    t.test('closing tells that all left', async (t) => {
      const appId = uuid()
      const third = await open()
      for (const id of ['a', 'b']) third.presence.enter(appId, 'r', uuid(), member(id))
      await untilThere(one, appId, 'r', 'a,b')
      const seen = watch(one, appId)
      third.presence.enter(appId, 'r', uuid(), member('not yet written'))
      await third.close()
      t.equal(await ids(one, appId, 'r'), '', 'at once')
      await until(() => seen.filter((change) => change.includes('leave')).length >= 2, 'it was told')
      const { processId } = third.lease
      const { rows } = await sql`select from presence where process_id = ${processId}::uuid`.execute(one.db)
      t.equal(rows.length, 0)
      third.presence.enter(appId, 'r', uuid(), member('late'))
      t.equal(await ids(one, appId, 'r'), '', 'what comes later is nothing')
    })
  })
}
