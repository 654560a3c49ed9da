import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { Test } from 'tap'

/** A mail that a server took. */
export interface ReceivedMail {
  from: string
  to: string[]
  /** Headers and body as they came. */
  source: string
  /** Whether the connection was encrypted. */
  secure: boolean
}

/** A reply that refuses. */
export const refusal = (responseCode: number, message: string): Error =>
  Object.assign(new Error(message), { responseCode })

/** A real mail server on the loopback that keeps what it gets; closed when the test ends. */
export async function startMailServer(t: Test, options: SMTPServerOptions = {}) {
  const received: ReceivedMail[] = []
  let connections = 0
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 1, // clients keep their connections
    onData(stream, session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        if (stream.sizeExceeded) return callback(refusal(552, 'too large'))
        const { mailFrom, rcptTo } = session.envelope
        received.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          source: Buffer.concat(chunks).toString('utf8'),
          secure: session.secure,
        })
        callback()
      })
    },
    ...options,
    onConnect(_session, callback) {
      connections++
      callback()
    },
  })
  server.on('error', () => {}) // clients that go away in the middle
  const listener = server.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.teardown(() => new Promise<void>((resolve) => server.close(resolve)))
  const { port } = listener.address() as AddressInfo
  return { port, received, connections: () => connections }
}

/**
 * A mail server that keeps to a script, right or wrong.
 *
 * @param replyTo called with each line of the client, and with `connected` first; says nothing unless told to
 */
export async function startScriptedServer(t: Test, replyTo: (line: string, socket: Socket) => void) {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    createInterface({ input: socket })
      .on('line', (line) => replyTo(line, socket))
      .on('error', () => {}) // the socket's own
    replyTo('connected', socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

/** What a server that takes everything replies to a line; the lines of the mail itself get no reply. */
export function politeReply(line: string): string | undefined {
  if (line === 'connected') return '220 mail.example ESMTP'
  if (line.startsWith('EHLO')) return '250 mail.example'
  if (line === 'DATA') return '354 go ahead'
  if (line === 'QUIT') return '221 bye'
  return /^(MAIL|RCPT|RSET|\.$)/.test(line) ? '250 2.0.0 fine' : undefined
}
