import { connect, type Socket } from 'node:net'

const HEAD_END = Buffer.from('\r\n\r\n')
const READ_BYTES = 65_536

/** The bytes of a request, made once and sent again and again: a POST, or a GET when it has no body. */
export function encodeRequest(
  origin: string,
  { path, headers, body }: { path: string; headers: Record<string, string>; body?: string | undefined },
): Buffer {
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const fields = { host: new URL(origin).host, ...headers, ...length }
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
  const method = body === undefined ? 'GET' : 'POST'
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${head.join('')}\r\n${body ?? ''}`)
}

/**
 * A keep-alive HTTP connection that does nothing it need not: it writes prepared bytes and counts those of the
 * answer. The load shares the cores with the service, so what it costs is taken from what it measures.
 *
 * Answers must have a `content-length`. One exchange at a time.
 */
export class BareClient {
  readonly #socket: Socket
  #head = ''
  /** Bytes of the body that are still to come; undefined while the head is read. */
  #missing: number | undefined
  #status = 0
  #problem = ''
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined

  private constructor(host: string, port: number) {
    const onread = {
      buffer: Buffer.alloc(READ_BYTES),
      callback: (length: number, bytes: Uint8Array) => {
        this.#read(bytes as Buffer, length)
        return true
      },
    }
    this.#socket = connect({ host, port, noDelay: true, onread })
    this.#socket.on('close', () => this.#fail(new Error('The server closed the connection.')))
    this.#socket.on('error', (error) => this.#fail(error))
  }

  static connect(origin: string): Promise<BareClient> {
    const { hostname, port } = new URL(origin)
    const client = new BareClient(hostname, Number(port))
    return new Promise((resolve, reject) => {
      client.#socket.once('connect', () => resolve(client)).once('error', reject)
    })
  }

  /** @throws Error when the answer is not a 2xx, or does not come */
  exchange(request: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
      this.#socket.write(request)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(bytes: Buffer, length: number): void {
    let at = 0
    if (this.#missing === undefined) {
      const end = bytes.subarray(0, length).indexOf(HEAD_END)
      this.#head += bytes.toString('latin1', 0, end < 0 ? length : end)
      if (end < 0) return
      at = end + HEAD_END.length
      this.#status = Number(this.#head.slice(9, 12))
      this.#missing = Number(/\r\ncontent-length: (\d+)/i.exec(this.#head)?.[1])
      this.#head = ''
    }
    if (this.#status >= 300) this.#problem += bytes.toString('utf8', at, length)
    this.#missing -= length - at
    if (this.#missing > 0) return
    this.#missing = undefined
    if (this.#status < 300) this.#settle?.resolve()
    else this.#fail(new Error(`The service answered ${this.#status}: ${this.#problem}`))
  }

  #fail(error: Error): void {
    this.#settle?.reject(error)
    this.#settle = undefined
  }
}
