import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '../../src/platform/log/log.ts'
import { startEmbeddedPostgres } from '../../src/platform/postgres/embedded.ts'
import { migrate } from '../../src/platform/postgres/migrate.ts'
import { createDatabase, createPool } from '../../src/platform/postgres/pool.ts'
import { observe } from '../helpers/observer.ts'
import { serviceEnvironment } from '../helpers/service.ts'
import { startAll } from '../helpers/start-all.ts'
import { until } from '../helpers/until.ts'

t.test('restarting Postgres in the middle loses nothing that was answered', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'heliograph-restart-'))
  const open = () => startEmbeddedPostgres({ dataDir, say: () => {}, onLost: () => {} })
  let postgres = await open()
  t.teardown(async () => {
    await postgres.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  const { host } = postgres.address
  const databaseUrl = `postgres://heliograph@localhost/heliograph?host=${encodeURIComponent(host)}`
  const log = createLog('silent', 'test')
  const pool = createPool(databaseUrl, { size: 2, name: 'test', log })
  await migrate(pool, createDatabase(pool), log)
  await pool.end()

  const environment = serviceEnvironment(databaseUrl, undefined, { LOG_LEVEL: 'info' })
  const { api, client, receiver } = await startAll(t, environment)
  const observer = await observe(t, api.url, client.key, '?after=0')

  const stored = new Set<string>()
  const refused: number[] = []
  const enough = new AbortController()
  const writers = Promise.all(
    Array.from({ length: 4 }, async (_, writer) => {
      for (let number = 0; !enough.signal.aborted; number++) {
        const { status, body } = await client.post('/events', {
          type: 'restart.test',
          payload: { writer, number },
        })
        if (status === 201) stored.add(body.id)
        else refused.push(status)
      }
    }),
  )
  await until(() => stored.size > 100, 'events are being stored')
  await postgres.stop()
  postgres = await open()
  const before = stored.size
  await until(() => stored.size > before + 100, 'events are being stored again')
  enough.abort()
  await writers

  t.ok(
    refused.every((status) => status === 503),
    `${refused.length} appends were answered 503 meanwhile`,
  )
  await until(
    () => new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).isSupersetOf(stored),
    'every answered event was delivered',
  )
  await until(
    () => new Set(observer.messages.map(({ data }) => JSON.parse(data).id)).isSupersetOf(stored),
    'every answered event was observed',
  )
  const positions = observer.messages.map(({ id }) => Number(id))
  t.strictSame(
    positions,
    Array.from(positions, (_, index) => index + 1),
    'in order, without gaps, on one connection all the while',
  )
})
