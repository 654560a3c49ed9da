import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { readArguments } from '../../src/commands/listen/arguments.ts'
import { faultOfSecret, newSigningSecret } from '../../src/platform/secrets/signing.ts'
import { startListening } from '../helpers/listening.ts'

const KEY = 'hg_key_of_the_tests'
const FORWARD = ['--forward', 'http://localhost:4000']

const read = (args: string[], environment: Record<string, string> = { HELIOGRAPH_API_KEY: KEY }) =>
  readArguments(args, environment)

t.test('what is used unless told', async (t) => {
  const options = await read(FORWARD)
  t.match(options, {
    service: 'http://127.0.0.1:3000',
    key: KEY,
    patterns: ['*'],
    forward: 'http://localhost:4000/',
    after: undefined,
    timeoutMs: 15_000,
  })
  t.equal(faultOfSecret(options!.secret), undefined)
  t.match(options!.secret, /^whsec_/)
})

t.test('what is told', async (t) => {
  const secret = newSigningSecret()
  const environment = { HELIOGRAPH_API_KEY: ` ${KEY} `, HELIOGRAPH_URL: 'https://other.example.com' }
  const destination = ['--forward', 'https://example.com/hooks?a=1', '--secret', secret]
  const events = ['--types', 'order.*, item.**,a_1.b', '--after', '0']
  const others = ['--url', 'https://example.com/events/', '--timeout', '1.5']
  const options = await read([...destination, ...events, ...others], environment)
  t.strictSame(options, {
    service: 'https://example.com/events',
    key: KEY,
    patterns: ['order.*', 'item.**', 'a_1.b'],
    forward: 'https://example.com/hooks?a=1',
    after: 0,
    secret,
    timeoutMs: 1500,
  })
  t.equal((await read(FORWARD, environment))!.service, 'https://other.example.com')
})

t.test('bad arguments end it with the usage', async (t) => {
  const secret = newSigningSecret()
  const bad: [string[], RegExp][] = [
    [[], /--forward is missing/],
    [['--forward'], /--forward/],
    [['--forward', 'localhost:4000'], /--forward is not an http/],
    [['--forward', 'ftp://localhost'], /--forward is not an http/],
    [['--forward', 'http://me:pw@localhost'], /no user name/],
    [[...FORWARD, 'order.placed'], /order\.placed/],
    [[...FORWARD, '--key', 'x'], /--key/],
    [[...FORWARD, '--help=yes'], /--help/],
    [[...FORWARD, '--types', 'Order.*'], /"Order\.\*" is not a pattern/],
    [[...FORWARD, '--types', ''], /"" is not a pattern/],
    [[...FORWARD, '--types', 'order.*,'], /"" is not a pattern/],
    [[...FORWARD, '--types', 'ord*'], /"ord\*" is not a pattern/],
    [[...FORWARD, '--after', 'now'], /--after is not a position/],
    [[...FORWARD, '--after=-1'], /--after is not a position/],
    [[...FORWARD, '--after', '1.5'], /--after is not a position/],
    [[...FORWARD, '--timeout', '0'], /--timeout is not/],
    [[...FORWARD, '--timeout', '1e3'], /--timeout is not/],
    [[...FORWARD, '--timeout', '86401'], /--timeout is not/],
    [[...FORWARD, '--url', 'localhost'], /--url is not an http/],
    [[...FORWARD, '--url', 'http://localhost/?a=1'], /--url must end before/],
    [[...FORWARD, '--secret', 'short'], /--secret is not a signing secret: it must have 8 to 256 characters/],
    [[...FORWARD, '--secret', `${secret}=`], /--secret is not a signing secret: it begins with whsec_/],
  ]
  for (const [args, complaint] of bad) {
    const listening = startListening(t, args, { HELIOGRAPH_API_KEY: KEY })
    t.equal(await listening.ended, 2, args.join(' '))
    const [first, ...rest] = listening.lines
    t.match(first, complaint)
    t.match(rest.join('\n'), /^\nUsage: npm run listen/)
    t.notOk(listening.lines.join('\n').includes(KEY))
  }
  await t.rejects(read(FORWARD, { HELIOGRAPH_API_KEY: KEY, HELIOGRAPH_URL: 'x' }), {
    message: /^HELIOGRAPH_URL is not an http/,
  })
  await t.rejects(read(FORWARD, { HELIOGRAPH_API_KEY: 'a\nb' }), { message: /is not an API key/ })
})

t.test('--help prints the usage', async (t) => {
  const listening = startListening(t, ['--help'], {})
  t.equal(await listening.ended, 0)
  t.match(listening.lines[0], /^Usage: npm run listen/)
})

t.test('the key that is kept in DATA_DIR', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'heliograph-listen-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const noKey = { message: /There is no API key: set HELIOGRAPH_API_KEY/ }
  const kept = { DATA_DIR: folder }
  await t.rejects(read(FORWARD, kept), noKey, 'there is none before the first start')

  const file = join(folder, 'default-app.json')
  await writeFile(file, JSON.stringify({ id: 'some', apiKey: KEY }))
  for (const host of ['127.0.0.1:3000', 'localhost:4444', '[::1]:3000']) {
    t.equal((await read([...FORWARD, '--url', `http://${host}`], kept))!.key, KEY, host)
  }
  for (const host of ['example.com', '127.0.0.1.example.com', '10.0.0.1', 'localhost.example.com']) {
    await t.rejects(read([...FORWARD, '--url', `http://${host}`], kept), noKey, `it is not sent to ${host}`)
  }
  await t.rejects(read(FORWARD, { ...kept, DATABASE_URL: 'postgres://localhost/other' }), noKey)
  t.equal((await read(FORWARD, { ...kept, HELIOGRAPH_API_KEY: 'mine' }))!.key, 'mine')
  await t.rejects(read(FORWARD, { ...kept, PORT: 'x' }), { message: /Settings that cannot be used/ })

  await writeFile(file, '{"id')
  await t.rejects(read(FORWARD, kept), { message: /default-app\.json in DATA_DIR cannot be read/ })
})
