import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { outbound, post } from '../../helpers/outbound.ts'
import { startReceiver } from '../../helpers/receiver.ts'

const LIMIT = 1_000
const TEXT = 'Grüße: {"ok":true}'

t.test('requests ask for answers that are not encoded', async (t) => {
  const receiver = await startReceiver(t)
  await post(outbound(t), receiver.url)
  t.equal(receiver.received[0]?.headers['accept-encoding'], 'identity')
})

/** Posts to an endpoint that answers so. */
async function reading() {
  const receiver = await startReceiver(t)
  const http = outbound(t)
  return async (body: Buffer | string, headers: Record<string, string> = {}): Promise<string> => {
    receiver.answer = (response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
      response.end(body)
    }
    const response = await post(http, receiver.url, { maxResponseBytes: LIMIT })
    t.equal(response.status, 200, 'whatever the body is, the status counts')
    return response.body
  }
}

t.test('an answer that is encoded all the same is decoded', async (t) => {
  const read = await reading()
  const encoded: Record<string, Buffer> = {
    gzip: gzipSync(TEXT),
    'x-gzip': gzipSync(TEXT),
    GZip: gzipSync(TEXT),
    deflate: deflateSync(TEXT),
    ' deflate ': deflateRawSync(TEXT),
    br: brotliCompressSync(TEXT),
    zstd: zstdCompressSync(TEXT),
    'gzip, br': brotliCompressSync(gzipSync(TEXT)),
    'deflate, identity, zstd, gzip': gzipSync(zstdCompressSync(deflateSync(TEXT))),
    identity: Buffer.from(TEXT),
  }
  for (const [encoding, body] of Object.entries(encoded))
    t.equal(await read(body, { 'content-encoding': encoding }), TEXT, encoding)
  for (const encoding of Object.keys(encoded))
    t.equal(await read('', { 'content-encoding': encoding }), '', `${encoding}, empty`)
  t.equal(await read(gzipSync(''), { 'content-encoding': 'gzip' }), '', 'nothing, encoded')
})

t.test('what comes out is bounded', async (t) => {
  const read = await reading()
  const long = 'é'.repeat(5_000_000)
  for (const [encoding, pack] of Object.entries({
    gzip: gzipSync,
    br: brotliCompressSync,
    zstd: zstdCompressSync,
  }))
    t.equal(await read(pack(Buffer.from(long)), { 'content-encoding': encoding }), 'é'.repeat(500), encoding)
  const layers = Array.from({ length: 8 }).reduce<Buffer>((bytes) => gzipSync(bytes), Buffer.from(TEXT))
  t.equal(await read(layers, { 'content-encoding': Array(8).fill('gzip').join() }), TEXT)
  t.match(
    await read(gzipSync(layers), { 'content-encoding': Array(9).fill('gzip').join() }),
    /^\[\d+ bytes, encoded 9 times\]$/,
  )
})

t.test('what cannot be decoded is told, and what could be is kept', async (t) => {
  const read = await reading()
  t.equal(await read('abc', { 'content-encoding': 'gzip' }), '[3 bytes that are no valid gzip]')
  t.equal(await read('abcd', { 'content-encoding': 'zstd, br' }), '[4 bytes that are no valid br]')
  t.equal(
    await read('abc', { 'content-encoding': 'compress' }),
    '[3 bytes in an encoding that is not known: compress]',
  )
  t.equal(
    await read(gzipSync('abc').subarray(0, 5), { 'content-encoding': 'gzip, constructor' }),
    '[5 bytes in an encoding that is not known: constructor]',
  )
  const words = Array.from({ length: 150 }, (_, index) => `w${(index * 7919) % 1000}`).join(' ')
  const packed = gzipSync(words)
  for (const kept of [packed.length - 1, packed.length - 9, packed.length - 50]) {
    const body = await read(packed.subarray(0, kept), { 'content-encoding': 'gzip' })
    t.ok(body.length > 100 && words.startsWith(body), `the first ${kept} of ${packed.length} bytes`)
  }
})

t.test('bytes that are no text are told as such', async (t) => {
  const read = await reading()
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
  const cases: [body: Buffer | string, type: string, expected: string][] = [
    [png, 'image/png', '[16 bytes of image/png that are no text]'],
    [png, '', '[16 bytes that are no text]'],
    ['a\0b\0', 'text/plain; charset=utf-8', '[4 bytes of text/plain that are no text]'],
    [Buffer.from([0x61, 0xff, 0xfe, 0x62]), 'text/plain', '[4 bytes of text/plain that are no text]'],
    [Buffer.from([0xed, 0xa0, 0x80]), '', '[3 bytes that are no text]'], // half of a surrogate pair
    [Buffer.from([0x61, 0xe2, 0x82]), '', '[3 bytes that are no text]'], // a character that was never whole
    [Buffer.alloc(5_000_000, png), 'image/png', `[at least ${LIMIT} bytes of image/png that are no text]`],
    ['a\tb\r\nc\u001b[0m', '', 'a\tb\r\nc\u001b[0m'],
    ['\ufeff{"ok":true}', 'application/json', '{"ok":true}'],
    [Buffer.from('grüß', 'latin1'), 'text/plain; charset=ISO-8859-1', 'grüß'],
    [Buffer.from('grüß', 'utf16le'), 'text/plain;charset="utf-16le"', 'grüß'],
    ['grüß', 'text/plain; charset=no-such', 'grüß'],
    [gzipSync(png), 'application/gzip', '[36 bytes of application/gzip that are no text]'],
  ]
  for (const [body, type, expected] of cases)
    t.equal(await read(body, type === '' ? {} : { 'content-type': type }), expected, expected)
})
