import type { FastifyInstance } from 'fastify'
import type { Socket } from 'node:net'

/**
 * Has a closing server drop the connections over which nothing ever came. Browsers and pools open some ahead
 * of use; to Node's server they are not idle, and it would wait for their first request until its timeout.
 */
export function dropUnusedConnections(app: FastifyInstance): void {
  const open = new Set<Socket>()
  let isClosing = false
  /** One function for all: one for each would be memory of every connection. */
  function forget(this: Socket): void {
    open.delete(this)
  }
  app.server.on('connection', (socket: Socket) => {
    if (isClosing) {
      socket.destroy()
    } else {
      open.add(socket)
      socket.on('close', forget)
    }
  })
  app.addHook('preClose', async () => {
    isClosing = true
    for (const socket of open) if (socket.bytesRead === 0) socket.destroy()
  })
}
