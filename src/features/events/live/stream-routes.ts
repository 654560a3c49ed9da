import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { appIdOf } from '../../../platform/http/auth.ts'
import { EXAMPLE_ID, EXAMPLE_TIME, inMediaTypes, responses } from '../../../platform/http/schemas.ts'
import {
  encodeComment,
  encodeId,
  encodeMessage,
  encodeRetry,
  HEARTBEAT_MS,
  sendStreamHead,
  SSE_HEADERS,
} from '../../../platform/http/sse.ts'
import { compilePatterns } from '../../matching/index.ts'
import { eventJson } from '../event.ts'
import { StreamQuery } from '../schemas.ts'
import type { Observer, Slice } from './app-tail.ts'
import type { LogTail } from './log-tail.ts'

/** A receiver that has not read anything for this long while something waited is cut off; it may resume. */
const WRITE_DEADLINE_MS = 30_000
/** How long a client has to take the last bytes of a stream that the server ends. */
const CLOSE_TIMEOUT_MS = 2_000
/** Clients wait a random time in this range before they reconnect, so that they do not come all at once. */
const RETRY_MS = { from: 500, to: 3_000 }

const LastEventId = Type.Object({
  'last-event-id': Type.Optional(
    Type.String({
      pattern: '^(\\d{1,15})?$',
      description: 'The `id` of the last event seen; browsers send it by themselves. An empty one is none.',
    }),
  ),
})

const EXAMPLE = encodeMessage({
  id: '41',
  event: 'order.placed',
  data: JSON.stringify({
    id: EXAMPLE_ID,
    position: 41,
    appId: EXAMPLE_ID,
    eventTypeId: EXAMPLE_ID,
    type: 'order.placed',
    payload: { order_id: 'A-1001', total: 42.5 },
    edges: [],
    originEventId: null,
    externalId: null,
    orgid: null,
    schemaVersion: null,
    schemaValid: null,
    createdAt: EXAMPLE_TIME,
  }),
})

/** `GET /events/stream`: the app's log as server-sent events (SPEC section 4). */
export const streamRoutes =
  (tail: LogTail): FastifyPluginAsyncTypebox =>
  async (app) => {
    const open = new Set<Stream>()
    app.addHook('preClose', async () => {
      for (const stream of open) stream.sendAway()
    })

    app.get(
      '/events/stream',
      {
        config: { access: 'events:read' },
        schema: {
          tags: ['Events'],
          operationId: 'streamEvents',
          summary: 'Watch the log live (server-sent events)',
          description:
            'For programs that follow the log and cannot be reached by webhooks; browsers observe rooms instead. Every event after the given position, in order, once: `id` is its position, `event` its type, `data` the event without `status` and `processedAt`. A client that reconnects with its last id misses nothing; where that cannot be so, the stream begins with `event: system.stream.lost`, which says why: `unknown` (the log is shorter than that) or `expired` (it no longer holds all that followed).',
          headers: LastEventId,
          querystring: StreamQuery,
          response: responses(
            {
              200: inMediaTypes(
                { 'text/event-stream': Type.String({ examples: [EXAMPLE] }) },
                { description: 'An event stream that does not end.' },
              ),
            },
            ['validation-failed'],
          ),
        },
      },
      async (request, reply) => {
        if (request.method === 'HEAD') return sendStreamHead(reply)
        const lastId = request.headers['last-event-id']
        const after = lastId ? Number(lastId) : request.query.after
        const stream = new Stream(request, reply, request.query.types)
        open.add(stream)
        await stream.run(tail, after, () => open.delete(stream))
      },
    )
  }

/** Why events may be missing after the position that was asked for; the same as of rooms (docs/observation.md). */
type Lost = 'expired' | 'unknown'

/** @param id the position that the stream begins after */
const encodeLost = (id: string, reason: Lost): string =>
  encodeMessage({
    id,
    event: 'system.stream.lost',
    data: JSON.stringify({ position: Number(id), recovered: false, reason }),
  })

/** One client's stream: encodes slices of the log, keeps to what the socket takes, and notices a dead one. */
class Stream {
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #types: string
  readonly #matches: (type: string) => boolean
  #observer: Observer | undefined
  #announced = 0
  #deadline: NodeJS.Timeout | undefined

  constructor(request: FastifyRequest, reply: FastifyReply, types: string | undefined) {
    this.#request = request
    this.#reply = reply
    this.#types = types ?? '*'
    this.#matches = compilePatterns(this.#types.split(','))
  }

  async run(tail: LogTail, after: number | undefined, closed: () => void): Promise<void> {
    const raw = this.#reply.raw
    const started = performance.now()
    let gone = false
    const heartbeat = setInterval(() => this.#heartbeat(), HEARTBEAT_MS)
    raw.once('close', () => {
      gone = true
      clearInterval(heartbeat)
      clearTimeout(this.#deadline)
      this.#observer?.end()
      closed()
      const seconds = Math.round((performance.now() - started) / 1000)
      this.#request.log.info(
        { appId: appIdOf(this.#request), seconds, position: this.#observer?.position() },
        'stream ended',
      )
    })
    raw.on('drain', () => {
      clearTimeout(this.#deadline)
      this.#deadline = undefined
      this.#observer?.drained()
    })
    const appId = appIdOf(this.#request)
    const observe = async (): Promise<[Observer, lost: Lost | undefined]> => {
      // 0 asks for whatever there is.
      const isHeld = !after || (await tail.holds(appId, after))
      const begun = await tail.observe(appId, after, {
        write: (slice) => this.#write(slice),
        fail: () => this.sendAway(),
      })
      if (!isHeld) return [begun, 'expired']
      return [begun, after !== undefined && begun.position() < after ? 'unknown' : undefined]
    }
    const [observer, lost] = await observe().catch((error: unknown) => {
      clearInterval(heartbeat)
      closed()
      throw error
    })
    this.#observer = observer
    this.#announced = observer.position()
    if (gone) return observer.end()
    this.#reply.hijack()
    raw.writeHead(200, { ...(this.#reply.getHeaders() as Record<string, string>), ...SSE_HEADERS })
    const id = String(observer.position())
    raw.write(encodeRetry(randomRetry()) + (lost === undefined ? encodeId(id) : encodeLost(id, lost)))
  }

  /** Ends the stream; the client comes back and resumes. */
  sendAway(): void {
    const { raw } = this.#reply
    if (!raw.headersSent) return void raw.destroy()
    raw.end(encodeRetry(randomRetry()))
    // A client that reads nothing would keep the connection, and with it a server that is to stop.
    setTimeout(() => raw.destroy(), CLOSE_TIMEOUT_MS).unref()
  }

  #write(slice: Slice): boolean {
    const chunk = this.#encode(slice)
    if (chunk === undefined) return true
    this.#announced = slice.events.at(-1)?.position ?? this.#announced
    const taken = this.#reply.raw.write(chunk)
    if (!taken) this.#deadline ??= setTimeout(() => this.#reply.raw.destroy(), WRITE_DEADLINE_MS)
    return taken
  }

  /** What the stream sends of a slice; made once for all streams with the same filter. */
  #encode(slice: Slice): Buffer | undefined {
    const name = `sse ${this.#types}`
    if (!slice.made.has(name)) {
      const frames = slice.events
        .filter(({ type }) => this.#matches(type))
        .map((event) =>
          encodeMessage({ id: String(event.position), event: event.type, data: eventJson(event) }),
        )
      slice.made.set(name, frames.length === 0 ? undefined : Buffer.from(frames.join('')))
    }
    return slice.made.get(name) as Buffer | undefined
  }

  /** Also moves the client's last id past events that its filter left out, so that it need not read them again. */
  #heartbeat(): void {
    const { raw } = this.#reply
    if (!this.#observer || raw.writableNeedDrain) return
    const position = this.#observer.position()
    raw.write(position > this.#announced ? encodeId(String(position)) : encodeComment('still here'))
    this.#announced = position
  }
}

const randomRetry = (): number => RETRY_MS.from + Math.random() * (RETRY_MS.to - RETRY_MS.from)
