import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { runRotateEncryptionKey } from '../../src/commands/rotate-encryption-key.ts'
import { loadConfig } from '../../src/config.ts'
import { oldSecretsContext, secretContext, settingsContext } from '../../src/features/subscriptions/index.ts'
import { createLog } from '../../src/platform/log/log.ts'
import { createSecretBox, type SecretBox } from '../../src/platform/secrets/secret-box.ts'
import { publicBytes, publicKeyText } from '../../src/platform/secrets/signing.ts'
import { createTestDatabase } from '../helpers/environment.ts'
import { writeExtension } from '../helpers/extension-module.ts'
import { BARE_ENVIRONMENT, startProcess } from '../helpers/processes.ts'
import { call, serviceEnvironment, startService, type Client, type Service } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

const MAIN = join(import.meta.dirname, '../../bin/heliograph.js')
const newKey = (): string => randomBytes(32).toString('base64')

type Settings = Record<string, string>

/** Starts `node src/main.ts rotate-encryption-key`, as `npm run rotate-encryption-key` does. */
function startCommand(t: Test, environment: Settings) {
  const child = spawn(process.execPath, [MAIN, 'rotate-encryption-key'], {
    env: { ...BARE_ENVIRONMENT, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const run = { output: '', child, ended: once(child, 'exit').then(([code, signal]) => code ?? signal) }
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (run.output += text))
  t.teardown(() => void child.kill('SIGKILL'))
  return run
}

async function runCommand(t: Test, environment: Settings): Promise<{ code: unknown; output: string }> {
  const run = startCommand(t, environment)
  const code = await run.ended
  return { code, output: run.output }
}

/** The same within this process, which takes a small part of the time. */
async function runHere(environment: Settings): Promise<{ code: number; output: string }> {
  const lines: string[] = []
  const code = await runRotateEncryptionKey(
    loadConfig(environment),
    createLog('silent', 'test'),
    (text) => void lines.push(text),
  ).then(
    () => 0,
    (error: Error) => {
      lines.push(error.message)
      return 1
    },
  )
  return { code, output: lines.join('\n') }
}

/** A database whose secrets are sealed with an old key, and what was sealed there. */
async function prepare(t: Test, subscriptions: number) {
  const databaseUrl = await createTestDatabase()
  const [oldKey, key] = [newKey(), newKey()]
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 })
  t.teardown(() => pool.end())
  const start = (settings: Settings) => startService(t, { worker: false, databaseUrl, settings })

  const service = await start({ ENCRYPTION_KEY: oldKey })
  const client = await service.client()
  const ids: string[] = []
  const secrets = new Map<string, string>()
  for (let number = 0; number < subscriptions; number++) {
    const { id, secret } = await client.subscribe(`http://127.0.0.1:9/${number}`)
    ids.push(id)
    secrets.set(id, secret)
  }
  const box = createSecretBox(oldKey)
  const [first = ''] = ids
  await pool.query('update subscriptions set sealed_settings = $2, sealed_old_secrets = $3 where id = $1', [
    first,
    box.seal('some settings', settingsContext(client.appId, first)),
    box.seal('old secrets', oldSecretsContext(client.appId, first)),
  ])
  const publicKeys = await publicKeysOf(service, client)
  await service.close()
  return {
    databaseUrl,
    oldKey,
    key,
    pool,
    start,
    client,
    ids,
    secrets,
    publicKeys,
    both: { ENCRYPTION_KEY: key, ENCRYPTION_KEY_OLD: oldKey },
    environment: (settings: Settings) => serviceEnvironment(databaseUrl, undefined, settings),
  }
}

type Prepared = Awaited<ReturnType<typeof prepare>>

const publicKeysOf = async ({ features }: Service, { appId }: Client): Promise<string[]> =>
  (await features.apps.signingKeys.of(appId)).map((key) => publicKeyText(publicBytes(key)))

/** Everything must open with the keys of a service, to what it was before. */
async function expectReadable(t: Test, prepared: Prepared, service: Service, what: string): Promise<void> {
  const { secrets } = service.platform
  const { rows } = await prepared.pool.query(
    'select app_id, id, sealed_secret, sealed_settings, sealed_old_secrets from subscriptions order by id',
  )
  const opened = rows.map((row) => [
    row.id,
    secrets.open(row.sealed_secret, secretContext(row.app_id, row.id)),
  ])
  t.strictSame(new Map(opened as [string, string][]), prepared.secrets, what)
  const [row] = rows
  t.equal(secrets.open(row.sealed_settings, settingsContext(row.app_id, row.id)), 'some settings')
  t.equal(secrets.open(row.sealed_old_secrets, oldSecretsContext(row.app_id, row.id)), 'old secrets')
  t.strictSame(await publicKeysOf(service, prepared.client), prepared.publicKeys, 'the keys that sign')
}

/** How many subscriptions have a secret that a key alone opens. */
async function countOpened({ pool }: Prepared, box: SecretBox): Promise<number> {
  const { rows } = await pool.query('select app_id, id, sealed_secret from subscriptions')
  const opens = (row: { app_id: string; id: string; sealed_secret: Buffer }): boolean => {
    try {
      box.open(row.sealed_secret, secretContext(row.app_id, row.id))
      return true
    } catch {
      return false
    }
  }
  return rows.filter(opens).length
}

const REFUSED = { message: /encrypted with another key.*docs\/encryption-keys\.md/ }

t.test('what an extension keeps encrypted, too', async (t) => {
  const { both, environment, pool, client, oldKey, key, ids } = await prepare(t, 1)
  const [id = ''] = ids
  const context = (appId: string, noteId: string): string => `${appId}/notes/${noteId}`
  await pool.query('create table notes (app_id uuid, id uuid, sealed_text bytea, primary key (app_id, id))')
  await pool.query('insert into notes values ($1, $2, $3)', [
    client.appId,
    id,
    createSecretBox(oldKey).seal('a note', context(client.appId, id)),
  ])
  const path = await writeExtension(
    t,
    `import { defineExtension } from 'heliograph/extension'
    const context = (appId, id) => appId + '/notes/' + id
    export default defineExtension({
      name: 'notes',
      sealedColumns: [{ table: 'notes', column: 'sealed_text', context }],
    })`,
  )
  const { code, output } = await runHere(environment({ ...both, EXTENSIONS: path, PACKS: '' }))
  t.equal(code, 0, output)
  t.match(output, /notes\.sealed_text: 1 looked at, 1 encrypted anew/)
  const { rows } = await pool.query('select sealed_text from notes')
  t.equal(createSecretBox(key).open(rows[0].sealed_text, context(client.appId, id)), 'a note')
})

t.test('everything is encrypted with the new key, and the old one may go', async (t) => {
  const prepared = await prepare(t, 5)
  const { both, key, oldKey, pool, start, environment } = prepared
  const { rows } = await pool.query(
    `select table_name || '.' || column_name as name from information_schema.columns
      where table_schema = 'public' and data_type = 'bytea' and column_name like 'sealed%' order by 1`,
  )
  t.strictSame(
    rows.map(({ name }) => name),
    [
      'app_signing_keys.sealed_private_key',
      'subscriptions.sealed_old_secrets',
      'subscriptions.sealed_secret',
      'subscriptions.sealed_settings',
    ],
    'a new one must be sealed anew too: sealedColumns of its declared.ts',
  )

  await t.rejects(start({ ENCRYPTION_KEY: key }), REFUSED, 'before, the new key alone does not do')

  const during = await start(both)
  await expectReadable(t, prepared, during, 'before, with both keys')

  const { code, output } = await runCommand(t, environment(both))
  t.equal(code, 0, output)
  t.match(output, /subscriptions\.sealed_secret: 5 looked at, 5 encrypted anew/)
  t.match(output, /subscriptions\.sealed_settings: 1 looked at, 1 encrypted anew/)
  t.match(output, /subscriptions\.sealed_old_secrets: 1 looked at, 1 encrypted anew/)
  t.match(output, /app_signing_keys\.sealed_private_key: 1 looked at, 1 encrypted anew/)
  t.match(output, /ENCRYPTION_KEY_OLD may be unset/)
  for (const secret of [key, oldKey, ...prepared.secrets.values()])
    t.notOk(output.includes(secret), 'it shows no secret')

  await expectReadable(t, prepared, during, 'a service that ran meanwhile')
  await expectReadable(t, prepared, await start({ ENCRYPTION_KEY: key }), 'after, with the new key alone')
  await t.rejects(start({ ENCRYPTION_KEY: oldKey }), REFUSED, 'the old key alone does not do any more')

  const again = await runHere(environment(both))
  t.equal(again.code, 0)
  t.match(again.output, /5 looked at, 0 encrypted anew/, 'there is nothing left to do')
})

t.test('killed in the middle, it is run again', async (t) => {
  const prepared = await prepare(t, 40)
  const { both, key, pool, ids, start, environment } = prepared
  const newBox = createSecretBox(key)

  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('select from subscriptions where id = $1 for update', [ids.at(-1)])
  const killed = startCommand(t, environment(both))
  await until(async () => (await countOpened(prepared, newBox)) === ids.length - 1, 'it waits for one row')
  killed.child.kill('SIGKILL')
  t.equal(await killed.ended, 'SIGKILL')
  t.notMatch(killed.output, /may be unset/)

  const halfway = await start(both)
  await expectReadable(t, prepared, halfway, 'half-way, with both keys')
  await t.rejects(start({ ENCRYPTION_KEY: key }), REFUSED, 'half-way, the new key alone does not do')
  await holder.query('rollback')
  holder.release()

  const { code, output } = await runHere(environment(both))
  t.equal(code, 0, output)
  t.equal(await countOpened(prepared, newBox), ids.length)
  await expectReadable(t, prepared, await start({ ENCRYPTION_KEY: key }), 'with the new key alone')
})

t.test('what somebody changes meanwhile is not overwritten', async (t) => {
  const prepared = await prepare(t, 3)
  const { both, key, oldKey, pool, ids, client, secrets, start, environment } = prepared
  const [, changed = ''] = ids
  const context = secretContext(client.appId, changed)

  for (const [box, name] of [
    [createSecretBox(oldKey), 'by a process that encrypts with the old key'],
    [createSecretBox(key, [oldKey]), 'by one that encrypts with the new key'],
  ] as const) {
    const secret = `changed ${name}`
    const writer = await pool.connect()
    await writer.query('begin')
    await writer.query('update subscriptions set sealed_secret = $2 where id = $1', [
      changed,
      box.seal(secret, context),
    ])
    // The command reads the old value, and waits for the row until the change is committed.
    const running = runHere(environment(both))
    await until(async () => {
      const { rows } = await pool.query(
        "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
      )
      return rows.length > 0
    }, 'the command waits for the row')
    await writer.query('commit')
    writer.release()
    const { code, output } = await running
    t.equal(code, 0, output)
    secrets.set(changed, secret)
    await expectReadable(t, prepared, await start({ ENCRYPTION_KEY: key }), name)
    await pool.query('update subscriptions set sealed_secret = $2 where id = $1', [
      changed,
      createSecretBox(oldKey).seal(secret, context),
    ])
  }
})

t.test('what no key opens is named, and the old key stays needed', async (t) => {
  const prepared = await prepare(t, 2)
  const { both, key, oldKey, pool, ids, client, secrets, start, environment } = prepared
  const [id = ''] = ids
  const lostKey = newKey()
  const sealed = createSecretBox(lostKey).seal(secrets.get(id) ?? '', secretContext(client.appId, id))
  await pool.query('update subscriptions set sealed_secret = $2 where id = $1', [id, sealed])

  const { code, output } = await runCommand(t, environment(both))
  t.equal(code, 1)
  t.match(output, `subscriptions.sealed_secret of ${id} (app ${client.appId})`)
  t.match(output, /ENCRYPTION_KEY_OLD/)
  await t.rejects(start({ ENCRYPTION_KEY: key }), REFUSED)

  const found = { ENCRYPTION_KEY: key, ENCRYPTION_KEY_OLD: `${oldKey},${lostKey}` }
  t.equal((await runHere(environment(found))).code, 0)
  await expectReadable(t, prepared, await start({ ENCRYPTION_KEY: key }), 'with the key that was missing')
})

t.test('it says what is missing', async (t) => {
  const { key, databaseUrl, environment } = await prepare(t, 1)
  const withoutOld = await runCommand(t, environment({ ENCRYPTION_KEY: key }))
  t.equal(withoutOld.code, 1)
  t.match(withoutOld.output, REFUSED.message)
  const withoutNew = await runCommand(t, { DATABASE_URL: databaseUrl, ENCRYPTION_KEY_OLD: newKey() })
  t.equal(withoutNew.code, 1)
  t.match(withoutNew.output, /Set ENCRYPTION_KEY to the new key/)
})

t.test('with the key in DATA_DIR', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-rotation-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const dataDir = join(folder, 'data')
  const start = () => startProcess(t, 'all', { DATA_DIR: dataDir, PORT: '0' })
  const [file, newFile] = [join(dataDir, 'encryption.key'), join(dataDir, 'encryption.key.new')]

  const first = await start()
  const { apiKey } = JSON.parse(await readFile(join(dataDir, 'default-app.json'), 'utf8'))
  const readKeys = async (url: string) => (await call(url, 'GET', '/signing-keys', { key: apiKey })).body.data
  const keys = await readKeys(first.url)
  t.equal(keys.length, 1)
  const oldKey = (await readFile(file, 'utf8')).trim()
  const key = newKey()
  await writeFile(newFile, `${key}\n`)
  const settings = { DATA_DIR: dataDir, ENCRYPTION_KEY: key, ENCRYPTION_KEY_OLD: oldKey }

  const whileRunning = await runCommand(t, settings)
  t.equal(whileRunning.code, 1)
  t.match(whileRunning.output, /Another Heliograph is running/)
  t.equal(await first.end('SIGTERM'), 0)

  const { code, output } = await runCommand(t, settings)
  t.equal(code, 0, output)
  t.match(output, /app_signing_keys\.sealed_private_key: 1 looked at, 1 encrypted anew/)
  t.match(output, `${file} holds another key`)
  await t.rejects(start(), { message: /encrypted with another key/ }, 'the old file does not do')

  await rename(newFile, file)
  const second = await start()
  t.strictSame(await readKeys(second.url), keys)
  t.equal(await second.end('SIGTERM'), 0)
  const alone = await runCommand(t, { DATA_DIR: dataDir, ENCRYPTION_KEY: key })
  t.equal(alone.code, 0, alone.output)
  t.match(alone.output, /1 looked at, 0 encrypted anew/, 'the new key alone opens it')
  t.notMatch(alone.output, /another key/)
})
