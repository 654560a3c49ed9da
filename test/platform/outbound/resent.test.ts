import type { Socket } from 'node:net'
import t from 'tap'
import { onRequest, startHostile, type HostileServer } from '../../helpers/hostile-server.ts'
import { outbound, outcome, post } from '../../helpers/outbound.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const textOf = (server: HostileServer): string => server.sockets.map(server.received).join('')
const timesIn = (server: HostileServer, part: string): number => textOf(server).split(part).length - 1

/** What a server does with a second request on a connection, instead of answering it. */
const CLOSES: Record<string, (socket: Socket) => void> = {
  closed: (socket) => socket.end(),
  destroyed: (socket) => socket.destroy(),
  reset: (socket) => socket.resetAndDestroy(),
}

t.test('a request whose used connection was closed meanwhile is sent once more, on a new one', async (t) => {
  for (const [how, close] of Object.entries(CLOSES)) {
    const server = await startHostile(
      t,
      onRequest((socket, number) => (number === 1 ? socket.write(OK) : close(socket))),
    )
    const http = outbound(t)
    for (let index = 0; index < 20; index++)
      t.match(await post(http, server.url, { body: `"<${index}>"` }), { status: 200, body: 'ok' }, how)
    for (let index = 0; index < 20; index++) t.ok(timesIn(server, `<${index}>`) <= 2, `${how}: ${index}`)
    t.ok(timesIn(server, 'POST ') > 20, `${how}: some were sent again`)
    for (const socket of server.sockets) {
      const requests = server.received(socket).split('POST ').slice(1)
      for (const request of requests) {
        if (!/connection: close/.test(request)) continue
        t.equal(requests.length, 1, `${how}: what is sent again has a connection of its own`)
      }
    }
  }
})

t.test('when a server went away and came back, no request is lost on its old connections', async (t) => {
  const waiting: (() => void)[] = []
  let isDying = false
  const server = await startHostile(
    t,
    onRequest((socket, number) => {
      if (isDying && number > 1) socket.resetAndDestroy()
      else if (isDying) socket.write(OK)
      else waiting.push(() => socket.write(OK))
    }),
  )
  const http = outbound(t)
  const held = Array.from({ length: 30 }, () => post(http, server.url))
  while (waiting.length < 30) await new Promise((resolve) => setTimeout(resolve, 5))
  for (const answer of waiting) answer()
  await Promise.all(held)
  isDying = true
  const results = await Promise.all(
    Array.from({ length: 30 }, (_, index) => outcome(post(http, server.url, { body: `"<${index}>"` }))),
  )
  for (const result of results) t.match(result, { status: 200, body: 'ok' })
})

t.test('a request that fails in any other way is sent once', async (t) => {
  const failed = { name: 'OutboundError', code: 'connection-failed' }
  const cases: Record<string, (socket: Socket, number: number) => void> = {
    'a new connection that is closed': (socket) => socket.end(),
    'a new connection that is reset': (socket) => socket.resetAndDestroy(),
    'a used connection that is closed after a byte of the answer': (socket, number) =>
      number === 1 ? socket.write(OK) : socket.end('H'),
    'a used connection that is closed after an interim response': (socket, number) =>
      number === 1 ? socket.write(OK) : socket.end('HTTP/1.1 103 Early Hints\r\n\r\n'),
    'a used connection that is closed within the answer': (socket, number) =>
      number === 1 ? socket.write(OK) : socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok'),
    'a used connection that brings no HTTP': (socket, number) =>
      number === 1 ? socket.write(OK) : socket.end('220 mail.example ESMTP\r\n'),
  }
  for (const [name, answer] of Object.entries(cases)) {
    const server = await startHostile(t, onRequest(answer))
    const http = outbound(t)
    let failures = 0
    for (let index = 0; index < 10; index++) {
      const result = await outcome(post(http, server.url, { body: `"<${index}>"` }))
      if (result instanceof Error) t.match(result, failed, name)
      failures += Number(result instanceof Error)
      t.equal(timesIn(server, `<${index}>`), 1, `${name}: ${index}`)
    }
    t.ok(failures >= 4, `${name}: ${failures} failed`)
  }
})

t.test('a request is sent twice at most, and in the time that it has', async (t) => {
  let isUp = true
  const server = await startHostile(
    t,
    onRequest((socket) => {
      if (isUp) socket.write(OK)
      else socket.resetAndDestroy()
    }),
  )
  const http = outbound(t)
  await post(http, server.url)
  await new Promise((resolve) => setImmediate(resolve))
  isUp = false
  t.match(await outcome(post(http, server.url, { body: '"twice"' })), { code: 'connection-failed' })
  t.equal(timesIn(server, '"twice"'), 2)

  const slow = await startHostile(
    t,
    onRequest((socket, number) => {
      if (number === 1 && slow.sockets.length === 1) socket.write(OK)
      else if (number === 2) socket.end()
    }),
  )
  await post(http, slow.url)
  await new Promise((resolve) => setImmediate(resolve))
  t.match(await outcome(post(http, slow.url, { body: '"late"', timeoutMs: 500 })), {
    code: 'timeout',
    message: 'No complete response within 500 ms.',
  })
  t.equal(timesIn(slow, '"late"'), 2)
})
