import type { Socket } from 'node:net'
import t from 'tap'
import type { AttemptResult } from '../../../src/features/destinations/destination.ts'
import { connectEmail } from '../../helpers/email.ts'
import { politeReply, refusal, startMailServer, startScriptedServer } from '../../helpers/mail-server.ts'
import { until } from '../../helpers/until.ts'

const PASSWORD = 'p@ss word-of-the-operator'
const LOGIN = `operator:${encodeURIComponent(PASSWORD)}@`
/** Short where the deadline is what ends the exchange. */
const SHORT_MS = 300

t.test('a login is made, and a refused one may be mended', async (t) => {
  const server = await startMailServer(t, {
    authOptional: false,
    onAuth({ username, password }, _session, callback) {
      if (username === 'operator' && password === PASSWORD) callback(null, { user: username })
      else callback(new Error(`Invalid password ${password} (${username})`))
    },
  })
  const query = '?requireTLS=false'
  const right = await connectEmail(t, `${LOGIN}127.0.0.1:${server.port}${query}`)()
  t.match(right, { succeeded: true })
  const wrong = await connectEmail(t, `operator:nearly-right@127.0.0.1:${server.port}${query}`)()
  t.match(wrong, {
    succeeded: false,
    final: false,
    ownFault: true,
    responseStatus: 535,
    error: /refused the login/,
  })
  t.notMatch(JSON.stringify(wrong), 'nearly-right')
  const none = await connectEmail(t, `127.0.0.1:${server.port}`)()
  t.match(none, { succeeded: false, responseStatus: 530, final: false, ownFault: true })
})

t.test('a password is not given away on an open connection', async (t) => {
  const lines: string[] = []
  const server = await startScriptedServer(t, (line, socket) => {
    lines.push(line)
    if (line.startsWith('EHLO')) socket.write('250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n')
    else if (line.startsWith('STARTTLS')) socket.write('502 5.5.1 no\r\n')
    else socket.write(`${politeReply(line) ?? '235 2.7.0 welcome'}\r\n`)
  })
  const result = await connectEmail(t, `${LOGIN}127.0.0.1:${server.port}`)()
  t.match(result, { succeeded: false, final: false, ownFault: true, error: /No secure connection/ })
  t.same(
    lines.filter((line) => /^(AUTH|MAIL)/.test(line)),
    [],
  )
})

t.test('STARTTLS is used where it is offered, with a certificate that is trusted', async (t) => {
  const server = await startMailServer(t, {
    disabledCommands: [],
    onAuth: ({ username }, _session, callback) => callback(null, { user: username }),
  })
  const strict = await connectEmail(t, `127.0.0.1:${server.port}`)()
  t.match(strict, {
    succeeded: false,
    final: false,
    ownFault: true,
    error: /No secure connection.*\([A-Z_]+\)/,
  })
  const lenient = await connectEmail(t, `${LOGIN}127.0.0.1:${server.port}?tls.rejectUnauthorized=false`)()
  t.match(lenient, { succeeded: true })
  t.match(server.received, [{ secure: true }])
})

t.test('TLS from the first byte', async (t) => {
  const server = await startMailServer(t, { secure: true })
  t.match(await connectEmail(t, `127.0.0.1:${server.port}`, 'smtps')(), {
    succeeded: false,
    ownFault: true,
    error: /secure connection/,
  })
  const query = '?tls.rejectUnauthorized=false'
  t.match(await connectEmail(t, `127.0.0.1:${server.port}${query}`, 'smtps')(), { succeeded: true })
})

t.test('what the server answers decides', async (t) => {
  let refuse: { at: string; reply: Error } | undefined
  const step = (at: string) => (_given: unknown, _session: unknown, callback: (error?: Error) => void) =>
    callback(refuse?.at === at ? refuse.reply : undefined)
  const server = await startMailServer(t, {
    onMailFrom: step('MAIL'),
    onRcptTo: step('RCPT'),
    onData(stream, _session, callback) {
      stream.resume()
      stream.on('end', () => callback(refuse?.at === 'DATA' ? refuse.reply : null))
    },
  })
  const answers: [string, number, string, Partial<AttemptResult>][] = [
    ['RCPT', 550, 'no such user', { final: true, ownFault: false }],
    ['RCPT', 451, 'greylisted', { final: false, ownFault: false }],
    ['RCPT', 452, 'mailbox full', { final: false, ownFault: false }],
    ['DATA', 554, 'looks like spam', { final: true, ownFault: false }],
    ['DATA', 451, 'out of disk', { final: false, ownFault: false }],
    ['MAIL', 553, 'sender refused', { final: true, ownFault: true }],
    ['MAIL', 503, 'bad sequence', { final: false, ownFault: true }],
    ['MAIL', 421, 'too many connections', { final: false, ownFault: true }],
  ]
  for (const [at, code, message, expected] of answers) {
    const send = connectEmail(t, `127.0.0.1:${server.port}`)
    refuse = { at, reply: refusal(code, message) }
    const result = await send()
    t.match(result, { succeeded: false, responseStatus: code, ...expected }, `${at} ${code}`)
    t.match(`${result.error} ${result.responseBody}`, code === 421 ? /./ : message)
    refuse = undefined
    t.match(await send(), { succeeded: true }, 'and the next mail goes through')
  }
})

t.test('a recipient that is refused for good does not keep the mail from the others', async (t) => {
  let reply = refusal(550, 'no such user')
  const server = await startMailServer(t, {
    onRcptTo: ({ address }, _session, callback) => (address.startsWith('bad') ? callback(reply) : callback()),
  })
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  const settings = { to: ['ada@example.com', 'bad@example.com', 'bob@example.com'] }
  const result = await send({ settings })
  t.match(result, { succeeded: true, responseStatus: 250, error: null })
  t.match(result.responseBody, /bad@example\.com: 550 no such user\n250/, 'it is told who did not get it')
  t.same(server.received[0]?.to, ['ada@example.com', 'bob@example.com'])

  reply = refusal(451, 'come back later')
  t.match(await send({ settings }), {
    succeeded: false,
    final: false,
    ownFault: false,
    responseStatus: 451,
    error: 'The mail server put off bad@example.com: 451 come back later',
  })

  t.match(await send({ settings: { to: ['bad@example.com', 'bad2@example.com'] } }), {
    succeeded: false,
    final: false,
  })
  reply = refusal(550, 'no such user')
  const none = await send({ settings: { to: ['bad@example.com', 'bad2@example.com'] } })
  t.match(none, { succeeded: false, final: true, responseBody: /bad@.*\nbad2@/ })
})

t.test('a mail that is larger than the server takes is given up', async (t) => {
  const server = await startMailServer(t, { size: 10_000 })
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  const payload = JSON.stringify({ a: 'x'.repeat(20_000) })
  t.match(await send({ payload }), { succeeded: false, final: true, responseStatus: 552 })
  t.match(await send(), { succeeded: true })
})

t.test('a very long payload is cut', async (t) => {
  const server = await startMailServer(t)
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  t.match(await send({ payload: JSON.stringify(Array.from({ length: 100_000 }, (_, index) => index)) }), {
    succeeded: true,
  })
  const { source = '' } = server.received[0] ?? {}
  t.ok(source.length > 90_000 && source.length < 200_000, `${source.length} characters`)
})

/** Where a server stops saying anything, or says it for ever. */
const STOPS = ['connected', 'EHLO', 'MAIL', 'RCPT', 'DATA', '.']

t.test('a server that hangs or drips ends with the deadline', async (t) => {
  async function check(stop: string, drips: boolean): Promise<void> {
    let dripping: NodeJS.Timeout | undefined
    t.teardown(() => clearInterval(dripping))
    const { port, sockets } = await startScriptedServer(t, (line, socket) => {
      if (line === stop || (stop !== '.' && line.startsWith(`${stop} `))) {
        if (drips) dripping = setInterval(() => socket.write('2'), 20)
        return
      }
      const reply = politeReply(line)
      if (reply !== undefined) socket.write(`${reply}\r\n`)
    })
    const result = await connectEmail(t, `127.0.0.1:${port}`)({ timeoutMs: SHORT_MS })
    t.match(
      result,
      {
        succeeded: false,
        final: false,
        ownFault: true,
        responseStatus: null,
        error: `The mail server did not take the mail within ${SHORT_MS} ms.`,
      },
      `${drips ? 'drips' : 'hangs'} at ${stop}`,
    )
    await until(() => sockets.every(({ closed }) => closed), 'the connection was cut')
    clearInterval(dripping)
  }
  await Promise.all(STOPS.flatMap((stop) => [check(stop, false), check(stop, true)]))
})

t.test('a server that goes away, or talks nonsense', async (t) => {
  const ways: Record<string, (socket: Socket) => void> = {
    'goes away': (socket) => void socket.destroy(),
    'hangs up': (socket) => void socket.end(),
    'talks nonsense': (socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'never ends a reply': (socket) => void socket.write(`250-${'x'.repeat(100)}\r\n`.repeat(2_000)),
    'never ends a line': (socket) => void socket.write('2'.repeat(200_000)),
  }
  for (const [name, way] of Object.entries(ways)) {
    const check = async (stop: string): Promise<void> => {
      const { port } = await startScriptedServer(t, (line, socket) => {
        if (line === stop || (stop !== '.' && line.startsWith(`${stop} `))) return way(socket)
        const reply = politeReply(line)
        if (reply !== undefined) socket.write(`${reply}\r\n`)
      })
      const result = await connectEmail(t, `127.0.0.1:${port}`)({ timeoutMs: 1_000 })
      t.match(result, { succeeded: false, error: /./, final: false }, `${name} at ${stop}`)
      t.ok((result.responseBody ?? '').length <= 16_384)
    }
    await Promise.all(STOPS.map(check))
  }
})

t.test('a huge reply is cut', async (t) => {
  for (const code of [250, 554]) {
    const { port } = await startScriptedServer(t, (line, socket) => {
      const reply = line === '.' ? `${code}-${'x'.repeat(30_000)}\r\n${code} fine` : politeReply(line)
      if (reply !== undefined) socket.write(`${reply}\r\n`)
    })
    const result = await connectEmail(t, `127.0.0.1:${port}`)()
    t.match(result, { succeeded: code === 250, responseStatus: code, final: code === 554 })
    t.equal(result.responseBody?.length, 16_384)
  }
})

t.test('a server that cannot be reached is tried again, and is not named', async (t) => {
  const { port, sockets } = await startScriptedServer(t, (_line, socket) => void socket.destroy())
  const result = await connectEmail(t, `${LOGIN}127.0.0.1:${port}`)()
  t.match(result, { succeeded: false, final: false, ownFault: true, responseStatus: null })
  t.ok(sockets.length <= 3, 'it is not knocked at again and again')

  const nobody = await connectEmail(t, `${LOGIN}127.0.0.1:1`)()
  t.match(nobody, {
    succeeded: false,
    final: false,
    ownFault: true,
    error: /could not be reached.*\(ECONNREFUSED\)/,
  })
  t.notMatch(JSON.stringify(nobody), '127.0.0.1')

  const noName = await connectEmail(t, `${LOGIN}mail.invalid`)()
  t.match(noName, { succeeded: false, final: false, ownFault: true })
  t.notMatch(JSON.stringify([result, nobody, noName]), /operator|p@ss|mail\.invalid/)
})

t.test('a password that a server repeats is not told', async (t) => {
  const told = [
    PASSWORD,
    Buffer.from(PASSWORD).toString('base64'),
    Buffer.from(`\0operator\0${PASSWORD}`).toString('base64'),
  ]
  const { port } = await startScriptedServer(t, (line, socket) => {
    const replies: Record<string, string> = {
      EHLO: '250-mail.example\r\n250 AUTH PLAIN',
      AUTH: '235 2.7.0 welcome',
      RCPT: `550 no, ${told.join(' ')}`,
    }
    const reply = replies[line.slice(0, 4)] ?? politeReply(line)
    if (reply !== undefined) socket.write(`${reply}\r\n`)
  })
  const result = await connectEmail(t, `${LOGIN}127.0.0.1:${port}?requireTLS=false`)()
  t.match(result, {
    succeeded: false,
    responseStatus: 550,
    error: 'The mail server answered 550 no, *** *** ***',
  })
  for (const secret of told) t.notMatch(JSON.stringify(result), secret)
})

t.test('a connection that the server closed meanwhile is replaced', async (t) => {
  const { port, sockets } = await startScriptedServer(t, (line, socket) => {
    const reply = politeReply(line)
    if (reply !== undefined) socket.write(`${reply}\r\n`)
  })
  const send = connectEmail(t, `127.0.0.1:${port}`)
  t.match(await send(), { succeeded: true })
  sockets[0]?.destroy()
  t.match(await send(), { succeeded: true })
  t.equal(sockets.length, 2)
})

t.test('many mails at once share a few connections', async (t) => {
  const server = await startMailServer(t)
  const send = connectEmail(t, `127.0.0.1:${server.port}`)
  const results = await Promise.all(Array.from({ length: 60 }, () => send()))
  t.ok(results.every(({ succeeded }) => succeeded))
  t.equal(server.received.length, 60)
  t.ok(server.connections() <= 5, `${server.connections()} connections`)
})
