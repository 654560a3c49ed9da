import { setTimeout as wait } from 'node:timers/promises'
import { createParser } from 'eventsource-parser'
import type { BodyEvent } from '../../features/destinations/index.ts'
import { ServiceLost, ServiceRefused, type ServiceClient } from './service-client.ts'
import { readWireEvent } from './wire-event.ts'

const FIRST_WAIT_MS = 1_000
const MAX_WAIT_MS = 30_000
/** What the service asks for is kept within these, so that it causes no busy loop and no endless wait. */
const ASKED_WAIT_MS = { from: 100, to: 3_600_000 }
/** More than the largest event that a service can be set to take. */
const MAX_EVENT_CHARACTERS = 64 * 1024 * 1024

export interface LiveEvent extends BodyEvent {
  position: number
}

export interface FollowOptions {
  client: ServiceClient
  patterns: readonly string[]
  /** A position; undefined to begin with the next event. */
  after: number | undefined
  /** Told of connections made and lost, in words for a person. */
  say: (text: string) => void
  /** Ends it. */
  signal: AbortSignal
}

/** A block of the stream: a place in the log, with the event there unless it was left out. */
interface Block {
  position: number
  data: string | undefined
}

/**
 * The events of an app's log, in order, each once, over as many connections as it takes: after a lost one it
 * goes on after the last event that was taken. Nothing is read ahead of what is taken but what fits into
 * the buffers of one connection.
 *
 * @throws ServiceRefused when going on is no use
 */
export async function* followLog(options: FollowOptions): AsyncGenerator<LiveEvent, void> {
  const { client, patterns, say, signal } = options
  let position = options.after
  let firstWaitMs = FIRST_WAIT_MS
  let failures = 0
  const onRetry = (ms: number): void => {
    firstWaitMs = Math.min(Math.max(ms, ASKED_WAIT_MS.from), ASKED_WAIT_MS.to)
  }

  while (!signal.aborted) {
    try {
      const query = new URLSearchParams({ types: patterns.join(',') })
      if (position !== undefined) query.set('after', String(position))
      const chunks = await client.read(`/events/stream?${query.toString()}`, 'text/event-stream')
      let connected = false
      for await (const block of blocksOf(chunks, onRetry)) {
        if (!connected) say(`Connected. Events after position ${block.position} are forwarded.`)
        connected = true
        failures = 0
        if (block.data !== undefined) {
          yield { ...(await eventIn(block.data, client)), position: block.position }
        }
        position = block.position
      }
      throw new ServiceLost('The service ended the stream.')
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof ServiceLost)) throw error
      const waitMs = Math.max(firstWaitMs, Math.min(firstWaitMs * 2 ** failures, MAX_WAIT_MS))
      failures += 1
      say(`Not connected: ${error.message} Trying again in ${(waitMs / 1000).toFixed(1)} s.`)
      await wait(waitMs, undefined, { signal }).catch(() => {})
    }
  }
}

async function* blocksOf(
  chunks: AsyncIterable<Uint8Array>,
  onRetry: (ms: number) => void,
): AsyncGenerator<Block, void> {
  let blocks: Block[] = []
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARACTERS,
    onRetry,
    onId(id) {
      if (!/^\d{1,15}$/.test(id)) throw notHeliograph('an id that is no position')
      blocks.push({ position: Number(id), data: undefined })
    },
    onEvent({ id, data }) {
      // The parser has just told the id of this block.
      const block = id === undefined ? undefined : blocks.at(-1)
      if (!block) throw notHeliograph('an event without a position')
      block.data = data
    },
    onError({ type }) {
      if (type === 'max-buffer-size-exceeded') throw notHeliograph('an event that does not end')
    },
  })
  const decoder = new TextDecoder()
  for await (const chunk of chunks) {
    parser.feed(decoder.decode(chunk, { stream: true }))
    yield* blocks
    blocks = []
  }
}

/**
 * A stream does not tell what edges point to, and server-sent events have one kind of line break, so that what
 * the breaks in a payload were cannot be seen. Such an event is read by its id.
 */
async function eventIn(data: string, client: ServiceClient): Promise<BodyEvent> {
  const event = readWireEvent(data)
  if (!event) throw notHeliograph('something else than an event')
  if (event.edges.list === '[]' && !data.includes('\n')) return event
  const chunks = await client.read(`/events/${event.event_id}?include=entities`, 'application/json')
  const exact = readWireEvent(Buffer.concat(await Array.fromAsync(chunks)).toString('utf8'))
  if (!exact) throw notHeliograph('something else than an event')
  return exact
}

const notHeliograph = (what: string): ServiceRefused =>
  new ServiceRefused(`The stream has ${what}. Check --url: it must be the address of a Heliograph.`)
