import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { wasClosedMeanwhile } from './connection.ts'
import { OutboundError } from './error.ts'

/** An answer as it came. */
export interface RawResponse {
  status: number
  headers: IncomingHttpHeaders
  /** The body up to the limit, or to the end of the piece that reached it. */
  bytes: Buffer
}

/** One request and its response, without the streams that would be made for it. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly response: Promise<RawResponse>
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #size = 0
  #status = 0
  #headers: IncomingHttpHeaders = {}
  #isOver = false
  #controller: Dispatcher.DispatchController | undefined
  #sendAgain: (() => void) | undefined
  #resolve!: (response: RawResponse) => void
  #reject!: (error: Error) => void
  #leave!: () => void

  /** @param maxBytes how much of the body is read */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /**
   * @param pool whose connections may have been used before
   * @param fresh whose connections are all new: where one of the pool turns out to have been closed meanwhile, the
   *   request is sent once more there
   * @returns resolves once the connection is not needed any more, whatever came of the exchange
   */
  run(pool: Dispatcher, fresh: Dispatcher, options: Dispatcher.DispatchOptions): Promise<void> {
    return new Promise((leave) => {
      if (this.#isOver) return leave()
      this.#leave = leave
      const request = { ...options, headersTimeout: 0, bodyTimeout: 0 }
      this.#sendAgain = () => fresh.dispatch(request, this)
      pool.dispatch(request, this)
    })
  }

  /** Gives it up, now or, if it has no connection yet, once it has one. */
  readonly fail = (error: Error): void => {
    this.#isOver = true
    this.#reject(error)
    this.#controller?.abort(error)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new OutboundError('timeout', 'It was given up meanwhile.'))
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return // interim
    this.#status = status
    this.#headers = headers
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#maxBytes) return
    this.#succeed()
    controller.abort(new OutboundError('connection-failed', 'The rest is not wanted.'))
  }

  onResponseEnd(): void {
    this.#succeed()
    this.#leave()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    const sendAgain = this.#sendAgain
    if (!this.#isOver && sendAgain && wasClosedMeanwhile(error)) {
      this.#controller = undefined
      this.#sendAgain = undefined
      sendAgain()
      return
    }
    this.fail(error)
    this.#leave()
  }

  #succeed(): void {
    this.#isOver = true
    this.#resolve({ status: this.#status, headers: this.#headers, bytes: Buffer.concat(this.#chunks) })
  }
}
