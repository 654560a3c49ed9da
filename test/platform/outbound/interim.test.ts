import t from 'tap'
import { onRequest, startHostile } from '../../helpers/hostile-server.ts'
import { outbound, post } from '../../helpers/outbound.ts'

const FINAL = 'HTTP/1.1 201 Created\r\nx-a: b\r\ncontent-length: 22\r\n\r\nHTTP/1.1 100 Continue!'
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS = 'HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n'
const ANSWERED = { status: 201, headers: { 'x-a': 'b' }, body: 'HTTP/1.1 100 Continue!' }

const BEFORE: Record<string, string> = {
  '100': CONTINUE,
  'several 100': CONTINUE.repeat(3),
  '100 without a reason': 'HTTP/1.1 100 \r\n\r\n',
  '100 with headers': 'HTTP/1.1 100 Continue\r\nserver: x\r\nx-note: HTTP/1.1 101 no\r\n\r\n',
  '103 several times': HINTS.repeat(5),
  '103, 100, 102, 100': HINTS + CONTINUE + 'HTTP/1.1 102 Processing\r\n\r\n' + CONTINUE,
  'a status that is not known': 'HTTP/1.1 199 Odd\r\n\r\n',
  'an empty line and 100': `\r\n${CONTINUE}`,
}

t.test('interim responses are passed over, as often as they come', async (t) => {
  const http = outbound(t)
  for (const [name, before] of Object.entries(BEFORE)) {
    const server = await startHostile(
      t,
      onRequest((socket) => socket.write(before + FINAL)),
    )
    // On one connection: each answer begins anew.
    for (let round = 0; round < 3; round++) {
      t.match(await post(http, server.url), ANSWERED, `${name}, ${round}`)
      await new Promise((resolve) => setImmediate(resolve))
    }
    t.equal(server.sockets.length, 1, `${name}: the connection is used again`)
  }
})

t.test('interim responses are passed over wherever packets end', async (t) => {
  const http = outbound(t)
  const whole = CONTINUE + HINTS + CONTINUE + FINAL
  const piecewise = (ends: readonly number[]) =>
    startHostile(
      t,
      onRequest((socket) => {
        socket.setNoDelay(true)
        const pieces = [...ends, whole.length].map((end, index) => whole.slice(ends[index - 1] ?? 0, end))
        const next = (): void => {
          const piece = pieces.shift()
          if (piece !== undefined) socket.write(piece, () => setImmediate(next))
        }
        next()
      }),
    )
  const bytewise = await piecewise(Array.from({ length: whole.length - 1 }, (_, index) => index + 1))
  t.match(await post(http, bytewise.url), ANSWERED, 'byte by byte')
  for (let end = 1; end < CONTINUE.length + 14; end++) {
    const server = await piecewise([end])
    t.match(await post(http, server.url), ANSWERED, `in two, after ${end}`)
  }
})

t.test('a 100 that comes while the request is still going out is passed over', async (t) => {
  const server = await startHostile(t, (socket) => {
    socket.once('data', () => socket.write(CONTINUE))
    socket.on('data', (bytes) => {
      if (bytes.toString('latin1').endsWith('last"')) socket.write(FINAL)
    })
  })
  const body = `"${'x'.repeat(5_000_000)}last"`
  t.match(await post(outbound(t), server.url, { body }), ANSWERED)
})
