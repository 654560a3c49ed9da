import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { Test } from 'tap'
import { request } from 'undici'
import { until } from './until.ts'

/** A client of `GET /events/stream`, as strict as a browser about the format. */
export interface Observer {
  messages: EventSourceMessage[]
  /** Resolves when the server ended the stream or the connection broke. */
  ended: Promise<void>
  /** Breaks the connection. */
  drop(): void
  waitFor(count: number): Promise<EventSourceMessage[]>
}

/**
 * Opens a stream.
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
  const abort = new AbortController()
  const response = await request(`${baseUrl}/events/stream${query}`, {
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
  const drop = (): void => abort.abort()
  t.teardown(drop)
  return {
    messages,
    ended,
    drop,
    waitFor: (count) =>
      until(() => (messages.length >= count ? messages : undefined), `${count} messages were observed`),
  }
}
