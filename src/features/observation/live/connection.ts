import type { Writable } from 'node:stream'

/** Sockets that were written to in this tick. One timer for all: one for each would cost as much as the write. */
let corked: Writable[] = []

function uncorkAll(): void {
  const sockets = corked
  corked = []
  for (const socket of sockets) socket.uncork()
}

/** Who speaks over a connection. */
export interface Speaker {
  /** Ends the connection with the advice to come back and resume: it is read too slowly, or the log is lost. */
  sendAway(): void
  /** Called once, when the connection is gone: whatever was joined over it is to be left. */
  gone(): void
}

/**
 * Where messages of one observer go, whatever the transport: whole frames, each socket written once a tick.
 *
 * There are many thousands of these in a process. So they are of a class, whose functions are there once, and have
 * functions rather than accessors; and what most of them never need is made when it is needed.
 */
export class Connection {
  #id: string | undefined
  readonly #socket: Writable
  readonly #stallMs: number
  readonly #speaker: Speaker
  /** Told when the socket takes more; undefined while nothing waits for it. */
  #drained: Set<() => void> | undefined
  #deadline: NodeJS.Timeout | undefined

  /** @param stallMs after which an observer that reads nothing of what waits for it is sent away */
  constructor(socket: Writable, stallMs: number, speaker: Speaker) {
    this.#socket = socket
    this.#stallMs = stallMs
    this.#speaker = speaker
    socket.on('close', () => {
      clearTimeout(this.#deadline)
      this.#speaker.gone()
    })
  }

  /** Made when it is asked for: many never are. */
  id(): string {
    this.#id ??= crypto.randomUUID()
    return this.#id
  }

  /** Bytes that wait for the receiver in this process. */
  buffered(): number {
    return this.#socket.writableLength
  }

  /** @returns false when the receiver should read before it is given more that can wait */
  write(chunk: Buffer): boolean {
    const socket = this.#socket
    if (!socket.writable) return false
    if (socket.writableCorked === 0) {
      if (corked.push(socket) === 1) setImmediate(uncorkAll)
      socket.cork()
    }
    const isTaken = socket.write(chunk)
    if (!isTaken) this.#awaitDrain()
    return isTaken
  }

  sendAway(): void {
    this.#speaker.sendAway()
  }

  /** @param listener called whenever the socket takes more. @returns a function that ends it */
  onDrain(listener: () => void): () => void {
    this.#drained ??= new Set()
    this.#drained.add(listener)
    return () => this.#drained?.delete(listener)
  }

  isGone(): boolean {
    return this.#socket.destroyed
  }

  #awaitDrain(): void {
    if (this.#deadline) return
    this.#deadline = setTimeout(() => this.#speaker.sendAway(), this.#stallMs)
    this.#socket.once('drain', () => {
      clearTimeout(this.#deadline)
      this.#deadline = undefined
      for (const listener of this.#drained ?? []) listener()
    })
  }
}
