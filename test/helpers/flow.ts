import { monitorEventLoopDelay } from 'node:perf_hooks'
import { sql } from 'kysely'
import type { Test } from 'tap'
import { startReceiver, type Receiver } from './receiver.ts'
import { startService, type Backend, type Client, type Service } from './service.ts'
import { until } from './until.ts'

/** Time enough for a busy machine, and retries that are soon. */
const PATIENT = {
  DELIVERY_TIMEOUT_MS: '8000',
  DELIVERY_LEASE_MS: '12000',
  DELIVERY_GRACE_MS: '3000',
  DELIVERY_RETRY_SCHEDULE: Array.from({ length: 40 }, () => '20ms').join(),
  SUBSCRIPTION_HOLD_MS: '20',
}

export interface Pair {
  first: Service
  second: Service
  /** Another process on the same database. */
  another: () => Promise<Service>
  /** A new app, and a receiver until the test ends. */
  app: (t: Test) => Promise<{ client: Client; receiver: Receiver }>
}

/** Two processes that share a database and a queue. */
export async function startPair(
  t: Test,
  { backend, settings }: { backend?: Backend; settings?: Record<string, string> } = {},
): Promise<Pair> {
  const all = { ...PATIENT, ...settings }
  const first = await startService(t, { ...(backend && { backend }), settings: all })
  const { databaseUrl, redisUrl } = first
  const another = () => startService(t, { databaseUrl, ...(redisUrl && { redisUrl }), settings: all })
  const second = await another()
  const app = async (t: Test) => ({ client: await first.client(), receiver: await startReceiver(t) })
  return { first, second, another, app }
}

/** Subscribes to the events of `append` alone. @returns the id of the subscription */
export async function subscribe(client: Client, url: string, options: object): Promise<string> {
  const { status, body, text } = await client.post('/subscriptions', {
    name: 'flow',
    eventPatterns: ['flow.*'],
    destination: { type: 'webhook', url },
    ...options,
  })
  if (status !== 201) throw new Error(text)
  return body.id
}

/** Appends an event for each payload, in their order. */
export async function append(client: Client, payloads: readonly object[], type = 'flow.test'): Promise<void> {
  for (let start = 0; start < payloads.length; start += 1_000) {
    const events = payloads.slice(start, start + 1_000).map((payload) => ({ type, payload }))
    const { status, text } = await client.post('/events/batch', { events })
    if (status !== 201) throw new Error(text)
  }
}

export const numbers = (count: number, from = 1): { n: number }[] =>
  Array.from({ length: count }, (_, index) => ({ n: from + index }))

/** Waits until nothing is owed any more. */
export async function drained({ platform }: Service): Promise<void> {
  await until(async () => (await owed({ platform })) === 0, 'nothing is owed any more')
}

async function owed({ platform }: Pick<Service, 'platform'>): Promise<number> {
  const { rows } = await sql<{
    open: number
  }>`select count(*) as open from deliveries where status = 'pending'`.execute(platform.db)
  return rows[0]?.open ?? 0
}

/** The most moments that lie in any window of so many milliseconds. */
export function mostWithin(moments: readonly number[], windowMs: number): number {
  const sorted = moments.toSorted((a, b) => a - b)
  let most = 0
  let first = 0
  for (const [index, moment] of sorted.entries()) {
    while (moment - (sorted[first] ?? 0) >= windowMs) first += 1
    most = Math.max(most, index - first + 1)
  }
  return most
}

/** What a receiver gets may come so much later than it was sent, because this process was busy. */
export function watchDelay(t: Test): () => number {
  const histogram = monitorEventLoopDelay({ resolution: 5 })
  histogram.enable()
  t.teardown(() => histogram.disable())
  return () => histogram.max / 1e6
}

/** A payload that is in order within its key. */
export interface Keyed {
  key: string
  n: number
}

/** What a request's body says, of an event that has a key or a number. */
export const payloadOf = ({ text }: { text: string }): Keyed =>
  (JSON.parse(text) as { payload: Keyed }).payload

/**
 * Has a receiver fail some requests and look at the order in which the others come.
 *
 * @param payloads all that are appended, in their order; each once
 * @returns what came before one of its key that had not been taken, in words
 */
export function watchOrder(
  receiver: Receiver,
  payloads: readonly Keyed[],
  fails: () => boolean = () => false,
): string[] {
  const taken = new Set<string>()
  const before = new Map<string, string>()
  for (const [key, own] of Map.groupBy(payloads, (payload) => payload.key))
    for (const [index, { n }] of own.entries()) before.set(`${key} ${n}`, `${key} ${own[index - 1]?.n}`)
  const overtaken: string[] = []
  receiver.answer = (response, received) => {
    const { key, n } = payloadOf(received)
    const previous = before.get(`${key} ${n}`) ?? 'nothing'
    if (!previous.endsWith(' undefined') && !taken.has(previous))
      overtaken.push(`${key.slice(0, 20)} ${n} before ${previous.slice(-10)}`)
    response.statusCode = fails() ? 500 : 200
    if (response.statusCode === 200) taken.add(`${key} ${n}`)
    response.end()
  }
  return overtaken
}
