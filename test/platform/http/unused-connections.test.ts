import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import Fastify from 'fastify'
import t from 'tap'
import { dropUnusedConnections } from '../../../src/platform/http/unused-connections.ts'
import { until } from '../../helpers/until.ts'

t.test('a server that closes does not wait for connections without a request', async (t) => {
  const app = Fastify({ forceCloseConnections: 'idle' })
  dropUnusedConnections(app)
  let answer: (() => void) | undefined
  app.get('/slow', () => new Promise<string>((resolve) => (answer = () => resolve('at last'))))
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => app.close())
  const { port } = app.server.address() as { port: number }
  const opened = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }

  const [unused, used] = [await opened(), await opened()]
  used.write('GET /slow HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n')
  await until(() => answer !== undefined, 'a request is under way')
  let text = ''
  used.on('data', (chunk: Buffer) => (text += chunk.toString()))

  const closed = app.close()
  await once(unused.resume(), 'close')
  t.ok(isClosing)
  t.equal(text, '', 'while the one with a request is waited for')
  answer?.()
  await Promise.all([closed, once(used, 'close')])
  t.match(text, /at last/)
})
