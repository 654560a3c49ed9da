import { isIP } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { createAddressCheck, parseCidrs } from '../../../src/platform/outbound/addresses.ts'
import { OutboundError, type Lookup } from '../../../src/platform/outbound/http.ts'
import { BEHAVIOURS, startHostile } from '../../helpers/hostile-server.ts'
import { LOOPBACK, outbound, outcome, post } from '../../helpers/outbound.ts'
import { startReceiver } from '../../helpers/receiver.ts'

/** Ranges that nothing outside of a private network is reached in. */
const REFUSED = {
  'this network': '0.0.0.0/8',
  'private A': '10.0.0.0/8',
  'carrier-grade NAT': '100.64.0.0/10',
  loopback: '127.0.0.0/8',
  'link-local': '169.254.0.0/16',
  'private B': '172.16.0.0/12',
  'protocol assignments': '192.0.0.0/24',
  'documentation 1': '192.0.2.0/24',
  '6to4 relays': '192.88.99.0/24',
  'private C': '192.168.0.0/16',
  benchmarking: '198.18.0.0/15',
  'documentation 2': '198.51.100.0/24',
  'documentation 3': '203.0.113.0/24',
  multicast: '224.0.0.0/4',
  reserved: '240.0.0.0/4',
  'metadata of clouds': '169.254.169.254/32',
  'metadata of another cloud': '100.100.100.200/32',
  'IPv6 unspecified': '::/128',
  'IPv6 loopback': '::1/128',
  'IPv4-compatible': '::/96',
  'IPv4-mapped private': '::ffff:10.0.0.0/104',
  'IPv4-mapped loopback': '::ffff:7f00:0/104',
  'IPv4-translated': '::ffff:0:0:0/96',
  NAT64: '64:ff9b::/96',
  'local NAT64': '64:ff9b:1::/48',
  'discard-only': '100::/64',
  dummy: '100:0:0:1::/64',
  Teredo: '2001::/32',
  'IPv6 benchmarking': '2001:2::/48',
  ORCHID: '2001:20::/28',
  'IPv6 protocol assignments': '2001::/23',
  'IPv6 documentation': '2001:db8::/32',
  'IPv6 documentation 2': '3fff::/20',
  '6to4': '2002::/16',
  'segment routing': '5f00::/16',
  'unique local': 'fc00::/7',
  'metadata over IPv6': 'fd00:ec2::254/128',
  'IPv6 link-local': 'fe80::/10',
  'site-local': 'fec0::/10',
  'IPv6 multicast': 'ff00::/8',
  'IPv6 not given out yet (low)': '1000::/4',
  'IPv6 not given out yet (middle)': '4000::/3',
  'IPv6 not given out yet (high)': 'e000::/4',
  'ISATAP at a public prefix': '2a00:1450:4001:80b:0:5efe::/96',
  'ISATAP with a universal identifier': '2a00:1450:4001:80b:200:5efe::/96',
}

/** Neighbours of the refused ranges, and addresses that are in use. */
const PUBLIC = [
  '1.0.0.0',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.0',
  '169.253.255.255',
  '169.255.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '191.255.255.255',
  '192.0.1.0',
  '192.0.3.0',
  '192.88.98.255',
  '192.88.100.0',
  '192.167.255.255',
  '192.169.0.0',
  '198.17.255.255',
  '198.20.0.0',
  '198.51.99.255',
  '198.51.101.0',
  '203.0.112.255',
  '203.0.114.0',
  '223.255.255.255',
  '8.8.8.8',
  '::ffff:8.8.8.8',
  '::ffff:808:808',
  '0:0:0:0:0:FFFF:9.255.255.255',
  '2001:200::',
  '2001:db7:ffff:ffff:ffff:ffff:ffff:ffff',
  '2001:db9::',
  '2003::',
  '2001:4860:4860::8888',
  '2a00:1450:4001:80b::200e',
  '2a00:1450:4001:80b:1:5efe:a00:1',
  '3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '3fff:1000::',
]

const BITS = { 4: 32n, 6: 128n } as const

const familyOf = (address: string): 4 | 6 => (isIP(address) === 4 ? 4 : 6)

/** An address as a number: of IPv6, the URL parser writes every spelling with hexadecimal groups only. */
function toNumber(address: string): bigint {
  if (familyOf(address) === 4) {
    return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
  }
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (text: string): string[] => text.split(':').filter((group) => group !== '')
  const after = tail === undefined ? [] : groups(tail)
  const zeros = Array.from({ length: 8 - groups(head).length - after.length }, () => '0')
  return [...groups(head), ...zeros, ...after].reduce(
    (sum, group) => sum * 65_536n + BigInt(`0x${group}`),
    0n,
  )
}

function toText(value: bigint, family: 4 | 6): string {
  const size = family === 4 ? 8n : 16n
  const parts = Array.from({ length: Number(BITS[family] / size) }, (_, index) => {
    const part = (value >> (BITS[family] - size * BigInt(index + 1))) & ((1n << size) - 1n)
    return part.toString(family === 4 ? 10 : 16)
  })
  return parts.join(family === 4 ? '.' : ':')
}

/** The first and the last address of a range, and any between. */
function addressesIn(range: string): fc.Arbitrary<string> {
  const [address = '', prefix] = range.split('/')
  const family = familyOf(address)
  const size = 1n << (BITS[family] - BigInt(prefix ?? ''))
  const first = toNumber(address)
  return fc
    .oneof(fc.constantFrom(0n, size - 1n), fc.bigInt(0n, size - 1n))
    .map((offset) => toText(first + offset, family))
}

/** One address in the ways it may be written. */
function spellings(address: string): string[] {
  if (familyOf(address) === 6) return [address, address.toUpperCase()]
  const [high, low] = [toNumber(address) >> 16n, toNumber(address) & 0xffffn]
  return [
    address,
    `::ffff:${address}`,
    `::FFFF:${high.toString(16)}:${low.toString(16)}`,
    `0:0:0:0:0:ffff:${address}`,
  ]
}

const inUrl = (address: string): string => (familyOf(address) === 6 ? `[${address}]` : address)

t.test('no address of a range that is not public is reached', async (t) => {
  const mayReach = createAddressCheck([])
  for (const [name, range] of Object.entries(REFUSED)) {
    fc.assert(
      fc.property(addressesIn(range), (address) => {
        for (const spelling of spellings(address)) if (mayReach(spelling)) throw new Error(spelling)
      }),
    )
    t.pass(name)
  }
})

t.test('sending to such an address is refused', async (t) => {
  const http = outbound(t, [])
  for (const [name, range] of Object.entries(REFUSED)) {
    for (const spelling of fc.sample(addressesIn(range), 3).flatMap(spellings)) {
      const error = await outcome(post(http, `http://${inUrl(spelling)}:9/`))
      t.ok(error instanceof OutboundError, name)
      t.match(error, { code: 'address-refused', message: /is not a public address/ }, spelling)
    }
  }
})

t.test('public addresses are reached, also those next to a range that is not', async (t) => {
  const mayReach = createAddressCheck([])
  for (const address of PUBLIC) t.ok(mayReach(address), address)
  // Whether or not there is a network to reach them by, they get beyond the check.
  const http = outbound(t, [])
  const results = await Promise.all(
    PUBLIC.map((address) => outcome(post(http, `http://${inUrl(address)}:9/`, { timeoutMs: 100 }))),
  )
  for (const result of results) t.notMatch(result, { code: 'address-refused' })
})

t.test('what is no address is not reached', async (t) => {
  const mayReach = createAddressCheck(['0.0.0.0/0', '::/0'])
  for (const text of ['', 'localhost', '127.1', '1.2.3.4.5', '[::1]', '::1/128'])
    t.notOk(mayReach(text), text)
})

t.test('other spellings of addresses that are not public are refused in URLs too', async (t) => {
  const server = await startHostile(t, BEHAVIOURS['never answers'])
  const http = outbound(t, [])
  const hosts = [
    '127.0.0.1',
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0X7F.0.0.1',
    '0177.0.0.1',
    '017700000001',
    '127.1',
    '127.0.1',
    '127.0.0.1.',
    '0',
    '0x0',
    '00000',
    '１２７.０.０.１', // fullwidth digits
    '127。0。0。1', // ideographic full stops
    '①②⑦.0.0.1',
    '%31%32%37.0.0.1',
    '[::1]',
    '[0:0:0:0:0:0:0:1]',
    '[0000::0001]',
    '[::]',
    '[::127.0.0.1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::FFFF:7F00:0001]',
    'localhost',
    'LOCALHOST',
    'ｌｏｃａｌｈｏｓｔ',
    'user:secret@127.0.0.1',
    '8.8.8.8@127.0.0.1',
  ]
  for (const host of hosts) {
    t.match(await outcome(post(http, `http://${host}:${server.port}/`)), { code: 'address-refused' }, host)
    t.match(await outcome(post(http, `https://${host}:${server.port}/`)), { code: 'address-refused' }, host)
  }
  for (const host of [
    '[fe80::1%25lo]',
    '[fe80::1%lo]',
    '[::1%250]',
    '127.0.0.1%00',
    '256.0.0.1',
    '1.2.3.4.5',
    '0x7g.1',
    '',
  ]) {
    t.match(await outcome(post(http, `http://${host}:${server.port}/`)), { code: 'connection-failed' }, host)
  }
  // Systems differ in whether this is a name.
  t.ok((await outcome(post(http, `http://localhost.:${server.port}/`))) instanceof OutboundError)
  t.equal(server.sockets.length, 0)
})

/** A resolver that gives each of its answers in turn, and then the last again. */
function resolver(...answers: string[][]): { lookup: Lookup; asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    lookup(host, _options, callback) {
      const addresses = answers[Math.min(asked.push(host), answers.length) - 1] ?? []
      callback(
        null,
        addresses.map((address) => ({ address, family: familyOf(address) })),
      )
    },
  }
}

t.test('a name that resolves to an address that is not public is refused', async (t) => {
  const server = await startHostile(t, BEHAVIOURS['never answers'])
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '10.0.0.1', 'fe80::1%lo', 'fd00:ec2::254']) {
    const { lookup } = resolver([address])
    t.match(await outcome(post(outbound(t, [], lookup), `http://evil.test:${server.port}/`)), {
      code: 'address-refused',
      message: `evil.test resolves to ${address}, which is not a public address.`,
    })
  }
  t.match(await outcome(post(outbound(t, [], resolver([]).lookup), 'http://nothing.test/')), {
    name: 'OutboundError',
  })
  t.equal(server.sockets.length, 0)
})

t.test('a name that cannot be resolved is a failure', async (t) => {
  const http = outbound(t, LOOPBACK, (_host, _options, callback) => {
    callback(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' }), [])
  })
  t.match(await outcome(post(http, 'http://nowhere.test/')), {
    code: 'connection-failed',
    message: 'The name of the host was not found (ENOTFOUND).',
  })
})

/** One server on each of two loopback addresses, of which the second is not allowed, at the same port. */
async function startPair(t: Test) {
  const allowed = await startReceiver(t)
  const port = Number(new URL(allowed.url).port)
  const forbidden = await startHostile(t, BEHAVIOURS['never answers'], { host: '127.0.0.2', port })
  return { allowed, forbidden, url: `http://rebinding.test:${port}/` }
}

t.test('the address that was checked is the one that is connected to', async (t) => {
  const { allowed, forbidden, url } = await startPair(t)
  const { lookup, asked } = resolver(['127.0.0.1'], ['127.0.0.2'])
  const http = outbound(t, ['127.0.0.1/32'], lookup)
  allowed.answer = (response) => response.writeHead(200, { connection: 'close' }).end()
  t.match(await post(http, url), { status: 200 })
  t.equal(asked.length, 1, 'the name is looked up once for a connection')
  t.match(await outcome(post(http, url)), { code: 'address-refused' }, 'each connection is checked anew')
  t.equal(asked.length, 2)
  t.equal(allowed.received.length, 1)
  t.equal(forbidden.sockets.length, 0)
})

t.test('of several addresses only those are tried that may be reached', async (t) => {
  const { allowed, forbidden, url } = await startPair(t)
  const gone = '127.0.0.3'
  for (const addresses of [
    ['127.0.0.2', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.2'],
    ['::1', '127.0.0.2', '10.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.2', '::ffff:127.0.0.1'],
    [gone, '127.0.0.2', '127.0.0.1'], // the first that may be reached refuses the connection
  ]) {
    const http = outbound(t, ['127.0.0.1/32', `${gone}/32`], resolver(addresses).lookup)
    t.match(await post(http, url), { status: 200 }, addresses.join())
  }
  const http = outbound(t, [`${gone}/32`], resolver([gone, '127.0.0.2']).lookup)
  t.match(await outcome(post(http, url)), { code: 'connection-failed', message: /ECONNREFUSED/ })
  t.equal(allowed.received.length, 5)
  t.equal(forbidden.sockets.length, 0)
})

t.test('what is allowed is reached, by address and by name, and nothing else is', async (t) => {
  const receiver = await startReceiver(t)
  const { port } = new URL(receiver.url)
  const http = outbound(t, ['127.0.0.1/32'])
  t.match(await post(http, `http://127.0.0.1:${port}/`), { status: 200 })
  t.match(await post(http, `http://[::ffff:127.0.0.1]:${port}/`), { status: 200 })
  t.match(await post(http, `http://localhost:${port}/`), { status: 200 }, 'whichever other addresses it has')
  for (const host of ['127.0.0.2', '[::ffff:127.0.0.2]', '[::1]', '[::127.0.0.1]', '10.0.0.1']) {
    t.match(await outcome(post(http, `http://${host}:${port}/`)), { code: 'address-refused' }, host)
  }
})

t.test('the list of allowed ranges means what it says', async (t) => {
  const cases: [allowed: string, reached: string[], refused: string[]][] = [
    [
      '10.0.0.0/8',
      ['10.0.0.0', '10.255.255.255', '::ffff:10.0.0.1', '::ffff:a00:1'],
      ['192.168.0.1', '127.0.0.1', '::10.0.0.1', '64:ff9b::a00:1'],
    ],
    ['10.1.2.3/8', ['10.0.0.0'], ['192.168.0.1']],
    ['0.0.0.0/0', ['10.0.0.1', '127.0.0.1', '::ffff:127.0.0.1'], ['::1', 'fd00::1', '::127.0.0.1']],
    [
      '::/0',
      ['::1', 'fd00::1', 'fe80::1%lo', '64:ff9b::a00:1'],
      ['10.0.0.1', '127.0.0.1', '::ffff:127.0.0.1'],
    ],
    ['::1/128', ['::1', '0:0:0:0:0:0:0:1'], ['::2', '127.0.0.1', '::']],
    ['fd00::/8', ['fd00::1', 'FDFF::1'], ['fc00::1', '10.0.0.1']],
    ['::ffff:10.0.0.0/104', ['10.0.0.1', '::ffff:10.0.0.1'], ['127.0.0.1', '::ffff:127.0.0.1']],
    ['::ffff:0:0/96', ['10.0.0.1', '127.0.0.1'], ['::1', 'fd00::1']],
    ['::/96', ['::1', '::127.0.0.1'], ['127.0.0.1', '::ffff:127.0.0.1', 'fd00::1']],
    ['', ['8.8.8.8'], ['127.0.0.1', '::1']],
  ]
  for (const [allowed, reached, refused] of cases) {
    const mayReach = createAddressCheck(parseCidrs(allowed))
    for (const address of [...reached, '8.8.8.8', '2a00:1450::1'])
      t.ok(mayReach(address), `${allowed} allows ${address}`)
    for (const address of refused) t.notOk(mayReach(address), `${allowed} does not allow ${address}`)
  }
})
