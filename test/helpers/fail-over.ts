import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * A TCP proxy that leads to the first of some servers that takes connections.
 *
 * @param urls of the servers
 * @returns its URL
 */
export async function startFailOver(t: Test, urls: readonly string[]): Promise<string> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    // Both ends are told of what happens by their 'close'.
    return socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  }
  const server = createServer((client) => {
    keep(client)
    const tryFrom = (index: number): void => {
      const url = urls[index]
      if (url === undefined) return void client.destroy()
      const { hostname, port } = new URL(url)
      const target = keep(connect(Number(port), hostname))
      const next = (): void => tryFrom(index + 1)
      target.once('error', next)
      target.once('connect', () => {
        target.off('error', next)
        client.pipe(target).pipe(client)
        client.once('close', () => target.destroy())
        target.once('close', () => client.destroy())
      })
    }
    tryFrom(0)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
