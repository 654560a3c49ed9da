import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startProcess } from '../helpers/processes.ts'
import { call } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

/** A data folder that only this account may enter, as one under /root is. */
async function dataFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-embedded-'))
  await chmod(folder, 0o700)
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'data')
}

const start = (t: Test, dataDir: string) => startProcess(t, 'all', { DATA_DIR: dataDir, PORT: '0' })
const pidFile = (dataDir: string): string => join(dataDir, 'postgres/postmaster.pid')
const keyOf = async (dataDir: string): Promise<string> =>
  JSON.parse(await readFile(join(dataDir, 'default-app.json'), 'utf8')).apiKey

/** As a power cut would, in the middle of making the database. */
async function killInitdb(dataDir: string): Promise<boolean> {
  let isKilled = false
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (!command.includes(`pgdata=${dataDir}`)) continue
    process.kill(Number(pid), 'SIGKILL')
    isKilled = true
  }
  return isKilled
}

const append = (url: string, key: string, number: number) =>
  call(url, 'POST', '/events', { key, body: { type: 'start.test', payload: { number } } })

async function positions(url: string, key: string): Promise<number[]> {
  const { body } = await call(url, 'GET', '/events?order=asc', { key })
  return body.data.map(({ position }: { position: number }) => position)
}

t.test('one data folder through its life', async (t) => {
  const dataDir = await dataFolder(t)
  let key = ''

  await t.test('started with no configuration it says what to do', async (t) => {
    const first = await start(t, dataDir)
    const text = first.output.join('\n')
    key = await keyOf(dataDir)
    t.match(text, /First start: creating a Postgres database/)
    t.match(text, /Heliograph listens on http:\/\/127\.0\.0\.1:\d+/)
    t.match(text, `${first.url}/events/stream?after=0`)
    t.match(text, `${first.url}/subscriptions`)
    t.ok(text.includes(key), 'the key of the default app is shown')
    t.notOk(
      first.output.some((line) => line.startsWith('{') && line.includes(key)),
      'but it is in no log line',
    )
    t.equal((await append(first.url, key, 1)).status, 201)
    const adminKey = (await readFile(join(dataDir, 'admin.key'), 'utf8')).trim()
    t.equal((await call(first.url, 'POST', '/apps', { key: adminKey, body: { name: 'mine' } })).status, 201)

    t.equal(await first.end('SIGTERM'), 0, 'SIGTERM ends it cleanly')
    t.notOk(existsSync(pidFile(dataDir)), 'and Postgres with it')
  })

  await t.test('started again it has its data, and a second one beside it is refused', async (t) => {
    const second = await start(t, dataDir)
    t.notMatch(second.output.join('\n'), /First start/)
    t.equal(await keyOf(dataDir), key)
    await t.rejects(start(t, dataDir), { message: /Another Heliograph is running/ })
    t.equal((await append(second.url, key, 2)).status, 201, 'which does no harm')
    t.strictSame(await positions(second.url, key), [1, 2])

    const submit = (origin: string) =>
      call(second.url, 'POST', '/inquiries/submit', {
        headers: { origin },
        body: { type: '100_GENERAL', firstName: 'Ada', email: 'ada@example.com' },
      })
    const { status, body: inquiry } = await submit('http://localhost:5173')
    t.equal(status, 201, 'a page of this machine sends inquiries without a key')
    const { body: inquiries } = await call(second.url, 'GET', '/inquiries', { key })
    t.strictSame(inquiries.data, [inquiry], 'to the default app')
    t.equal((await submit('https://www.example.com')).status, 403, 'another page does not')

    t.equal(await second.end('SIGINT'), 0, 'SIGINT ends it cleanly too')
    t.notOk(existsSync(pidFile(dataDir)))
  })

  await t.test('after a kill the next start takes over the Postgres that was left', async (t) => {
    const killed = await start(t, dataDir)
    await append(killed.url, key, 3)
    t.equal(await killed.end('SIGKILL'), 'SIGKILL')
    t.ok(existsSync(pidFile(dataDir)), 'Postgres is still running')

    const next = await start(t, dataDir)
    t.match(next.output.join('\n'), /it was taken over/)
    await append(next.url, key, 4)
    t.strictSame(await positions(next.url, key), [1, 2, 3, 4, 5], 'the inquiry among them')
    t.equal(await next.end('SIGTERM'), 0)
    t.notOk(existsSync(pidFile(dataDir)), 'what was taken over is stopped too')
  })

  await t.test('after a power cut, Postgres killed too, the next start recovers', async (t) => {
    const killed = await start(t, dataDir)
    await append(killed.url, key, 5)
    const postmaster = Number.parseInt(await readFile(pidFile(dataDir), 'utf8'), 10)
    await killed.end('SIGKILL')
    process.kill(postmaster, 'SIGKILL')
    await until(() => !existsSync(`/proc/${postmaster}`), 'Postgres is gone')

    const next = await start(t, dataDir)
    await append(next.url, key, 6)
    t.strictSame(await positions(next.url, key), [1, 2, 3, 4, 5, 6, 7])
  })
})

t.test('a first start that was killed half-way is begun anew', async (t) => {
  const dataDir = await dataFolder(t)
  const killed = startProcess(t, 'all', { DATA_DIR: dataDir, PORT: '0' })
  // The process ends before it has started, which the helper reports as an error.
  const outcome = killed.then(
    () => 'started',
    () => 'ended',
  )
  await until(() => existsSync(join(dataDir, 'postgres.unfinished')), 'the database is being made')
  await until(() => killInitdb(dataDir), 'initdb was running, and was killed')
  t.equal(await outcome, 'ended')
  const second = await start(t, dataDir)
  t.equal((await append(second.url, await keyOf(dataDir), 1)).status, 201)
})

t.test('the separate processes need a database', async (t) => {
  await t.rejects(startProcess(t, 'api', { DATA_DIR: await dataFolder(t) }), {
    message: /needs DATABASE_URL/,
  })
})
