import type { Writable } from 'node:stream'

/** Where messages of one observer go, whatever the transport: whole frames, each socket written once a tick. */
export interface Connection {
  readonly id: string
  /** Bytes that wait for the receiver in this process. */
  buffered(): number
  /** @returns false when the receiver should read before it is given more that can wait */
  write(chunk: Buffer): boolean
  /** Ends it with the advice to come back and resume. */
  sendAway(): void
  /** @returns a function that ends it */
  onDrain(listener: () => void): () => void
  isGone(): boolean
  /** Called once. @returns a function that ends it */
  onGone(listener: () => void): () => void
}

/** Sockets that were written to in this tick. One timer for all: one for each would cost as much as the write. */
let corked: Writable[] = []

function uncorkAll(): void {
  const sockets = corked
  corked = []
  for (const socket of sockets) socket.uncork()
}

/**
 * Writes go out together at the end of the tick.
 *
 * There are many thousands of these in a process: their properties are functions rather than accessors, which
 * would make each object a hash table of its own.
 *
 * @param stallMs after which an observer that reads nothing of what waits for it is sent away
 * @param sendAway ends an observer that reads too slowly; called again it does nothing
 */
export function createConnection(socket: Writable, stallMs: number, sendAway: () => void): Connection {
  let drained: Set<() => void> | undefined
  let deadline: NodeJS.Timeout | undefined
  socket.on('drain', () => {
    clearTimeout(deadline)
    deadline = undefined
    for (const listener of drained ?? []) listener()
  })
  socket.once('close', () => clearTimeout(deadline))

  return {
    id: crypto.randomUUID(),
    buffered: () => socket.writableLength,
    write(chunk) {
      if (!socket.writable) return false
      if (socket.writableCorked === 0) {
        if (corked.push(socket) === 1) setImmediate(uncorkAll)
        socket.cork()
      }
      const isTaken = socket.write(chunk)
      if (!isTaken) deadline ??= setTimeout(sendAway, stallMs)
      return isTaken
    },
    sendAway,
    onDrain(listener) {
      drained ??= new Set()
      drained.add(listener)
      return () => drained?.delete(listener)
    },
    isGone: () => socket.destroyed,
    onGone(listener) {
      socket.once('close', listener)
      return () => socket.off('close', listener)
    },
  }
}
