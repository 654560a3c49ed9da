import t from 'tap'
import { loadConfig } from '../../../src/config.ts'
import { createOriginCheck } from '../../../src/platform/http/origins.ts'

const DATABASE_URL = 'postgres://localhost/x'

t.test('which origins are allowed', async (t) => {
  const isAllowed = createOriginCheck([
    'https://www.example.com',
    'http://example.com:8080',
    'https://bücher.example',
    'capacitor://localhost',
  ])
  const allowed = [
    undefined,
    'https://www.example.com',
    'https://www.example.com:443',
    'HTTPS://WWW.EXAMPLE.COM',
    'http://example.com:8080',
    'https://xn--bcher-kva.example',
    'capacitor://localhost',
  ]
  for (const origin of allowed) t.ok(isAllowed(origin, undefined), String(origin))
  const refused = [
    '',
    'null',
    '*',
    'local',
    'https://evil.com',
    'https://www.example.com.evil.com',
    'https://evil.com.example.com',
    'https://evilwww.example.com',
    'https://example.com',
    'https://wwwxexample.com',
    'http://www.example.com',
    'https://www.example.com:8443',
    'http://example.com',
    'http://example.com:80',
    'https://www.example.com.',
    'https://www.example.com/',
    'https://www.example.com/path',
    'https://www.example.com?x',
    'https://www.example.com#x',
    'https://www.example.com\\@evil.com',
    'https://evil.com#https://www.example.com',
    'https://user@www.example.com',
    'https://www.example.com@evil.com',
    'https://www.example.com:443@evil.com',
    'https://www.example.com, https://evil.com',
    'https://evil.com, https://www.example.com',
    ' https://www.example.com',
    'https://www.example.com\n',
    'https:www.example.com',
    'https:///www.example.com',
    '//www.example.com',
    'www.example.com',
    'https://',
    'https://[',
    'https://www.example.com:99999',
    'file://',
    'javascript://www.example.com',
    'capacitor://evil',
    'https://localhost',
    'http://127.0.0.1:3000',
    'data:,x',
  ]
  for (const origin of refused) t.notOk(isAllowed(origin, undefined), origin)
})

t.test('pages of the host that the request was for', async (t) => {
  const isAllowed = createOriginCheck([])
  const same: [string, string][] = [
    ['https://events.example.com', 'events.example.com'],
    ['https://events.example.com', 'Events.Example.COM'],
    ['https://events.example.com', 'events.example.com:443'],
    ['https://events.example.com:8443', 'events.example.com:8443'],
    ['http://127.0.0.1:3000', '127.0.0.1:3000'],
    ['http://[::1]:3000', '[::1]:3000'],
  ]
  for (const [origin, host] of same) t.ok(isAllowed(origin, host), `${origin} at ${host}`)
  const other: [string, string | undefined][] = [
    ['https://events.example.com', undefined],
    ['https://events.example.com', ''],
    ['https://events.example.com', 'example.com'],
    ['https://example.com', 'events.example.com'],
    ['https://events.example.com', 'events.example.com:8443'],
    ['https://events.example.com:8443', 'events.example.com'],
    ['https://events.example.com', 'evil.com@events.example.com'],
    ['https://events.example.com', 'events.example.com/x'],
    ['https://events.example.com', 'events.example.com.'],
    ['null', 'null'],
    ['capacitor://events.example.com', 'events.example.com'],
  ]
  for (const [origin, host] of other) t.notOk(isAllowed(origin, host), `${origin} at ${host}`)
})

t.test('local: pages of this machine, with any port', async (t) => {
  const isAllowed = createOriginCheck(['local', 'https://www.example.com'])
  for (const origin of [
    'http://localhost',
    'https://localhost',
    'http://localhost:5173',
    'http://127.0.0.1:8080',
    'http://[::1]:3000',
    'https://www.example.com',
  ])
    t.ok(isAllowed(origin, undefined), origin)
  for (const origin of [
    'http://localhost.evil.com',
    'http://evil-localhost',
    'http://localhost.',
    'http://127.0.0.1.evil.com',
    'http://127.0.0.2',
    'http://10.0.0.1',
    'http://[::2]',
    'http://localhost@evil.com',
    'ftp://localhost',
    'capacitor://localhost',
    'null',
    'https://evil.com',
  ])
    t.notOk(isAllowed(origin, undefined), origin)
})

t.test('* allows any, none allows none', async (t) => {
  const origins = ['https://evil.com', 'null', 'http://localhost', 'capacitor://x', 'no origin']
  for (const origin of origins) {
    t.ok(createOriginCheck(['*'])(origin, undefined), origin)
    t.notOk(createOriginCheck([])(origin, undefined), origin)
  }
  t.ok(createOriginCheck([])(undefined, 'x'))
})

t.test('the settings', async (t) => {
  const origins = (settings: Record<string, string>) => loadConfig(settings).allowedOrigins
  t.strictSame(origins({}), ['local'], 'embedded and unset: this machine')
  t.strictSame(origins({ DATABASE_URL }), [], 'not embedded and unset: none')
  t.strictSame(origins({ ALLOWED_ORIGINS: '' }), [], 'empty: none')
  t.strictSame(origins({ ALLOWED_ORIGINS: 'https://a.example/ , http://b.example:1,*,local' }), [
    'https://a.example',
    'http://b.example:1',
    '*',
    'local',
  ])
  const wrong = [
    'example.com',
    'null',
    'https://',
    'https://a.example/path',
    'https://u@a.example',
    'https://*.a.b',
  ]
  for (const entry of wrong)
    t.throws(
      () => loadConfig({ ALLOWED_ORIGINS: `https://b.example,${entry}` }),
      { name: 'ConfigError', message: `ALLOWED_ORIGINS: "${entry}" is not an origin` },
      entry,
    )

  const proxies = (TRUST_PROXY: string) => loadConfig({ TRUST_PROXY }).trustedProxies
  t.strictSame(loadConfig({}).trustedProxies, [])
  t.strictSame(proxies('10.0.0.0/8, 192.0.2.7,::1'), ['10.0.0.0/8', '192.0.2.7', '::1'])
  for (const entry of ['true', '1', 'proxy.example.com', '10.0.0.0/33', '10.0.0.0/8,x'])
    t.throws(() => proxies(entry), { message: /TRUST_PROXY: / }, entry)
})
