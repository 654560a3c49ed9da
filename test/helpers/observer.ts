import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { Test } from 'tap'
import { request } from 'undici'
import { until } from './until.ts'

/** A stream of server-sent events, as strict as a browser about the format. */
export interface EventStream {
  messages: EventSourceMessage[]
  /** Resolves when the server ended the stream or the connection broke. */
  ended: Promise<void>
  /** Breaks the connection. */
  drop: () => void
}

/** @throws Error when the answer is not 200 */
export async function openEventStream(
  t: Test,
  url: string,
  key: string,
  lastEventId?: string,
): Promise<EventStream> {
  const abort = new AbortController()
  const drop = (): void => abort.abort()
  t.teardown(drop)
  const response = await request(url, {
    headers: {
      authorization: `Bearer ${key}`,
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    },
    signal: abort.signal,
    bodyTimeout: 0,
  })
  if (response.statusCode !== 200) throw new Error(`${response.statusCode}: ${await response.body.text()}`)
  const messages: EventSourceMessage[] = []
  const parser = createParser({
    onEvent: (message) => messages.push(message),
    onError: (error) => {
      throw error
    },
  })
  const decoder = new TextDecoder()
  const ended = (async () => {
    for await (const chunk of response.body) parser.feed(decoder.decode(chunk as Buffer, { stream: true }))
  })().catch(() => {})
  return { messages, ended, drop }
}

/** A client of `GET /events/stream`. */
export interface Observer extends EventStream {
  waitFor(count: number): Promise<EventSourceMessage[]>
}

/**
 * Opens the log as a stream.
 *
 * @param query such as `?after=0`
 * @param lastEventId sent as a reconnecting client does
 */
export async function observe(
  t: Test,
  baseUrl: string,
  key: string,
  query: string,
  lastEventId?: string,
): Promise<Observer> {
  const stream = await openEventStream(t, `${baseUrl}/events/stream${query}`, key, lastEventId)
  const { messages } = stream
  return {
    ...stream,
    waitFor: (count) =>
      until(() => (messages.length >= count ? messages : undefined), `${count} messages were observed`),
  }
}
