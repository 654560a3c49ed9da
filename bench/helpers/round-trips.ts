import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { Client, Pool, request } from 'undici'
import { newId } from '../../src/platform/identifiers/ids.ts'
import { EVENT_TYPE, payload } from '../lib/events.ts'
import { serve } from '../lib/serve.ts'

/** Where events are sent to, and how many. */
export interface Sending {
  origin: string
  /** Of an app; an endpoint that is posted to without the service needs none. */
  key?: string
  /** What is inserted, durably, before each is sent. */
  insert?: { databaseUrl: string; table: string }
  connections: number
  seconds: number
  /** Undefined: each as soon as an answer makes room. */
  perSecond?: number
}

/** Begins the time at which an event was sent, by this process's clock; nothing else holds it. */
const SENT = '"sent_at":'

/** Milliseconds from the sending of an event to its arrival, by where it arrived. */
const arrivals = new Map<string, number[]>()
const observers: Client[] = []
let serial = 0

function arrived(at: string, text: string): void {
  const now = performance.now()
  for (let from = text.indexOf(SENT); from !== -1; from = text.indexOf(SENT, from + 1)) {
    let latencies = arrivals.get(at)
    if (!latencies) arrivals.set(at, (latencies = []))
    latencies.push(now - Number.parseFloat(text.slice(from + SENT.length)))
  }
}

const server = createServer((incoming, response) => {
  let text = ''
  incoming.setEncoding('utf8')
  incoming.on('data', (chunk: string) => (text += chunk))
  incoming.on('end', () => {
    arrived('webhook', text)
    response.end()
  })
})
server.keepAliveTimeout = 120_000

const APP = newId()

const insertion = (table: string, position: number, content: object): pg.QueryConfig => ({
  name: 'insert',
  text: `insert into ${table} (app_id, id, position, event_type_id, type, payload, edges, created_at)
         values ($1, $2, $3, $1, $4, $5, '[]', now())`,
  values: [APP, newId(), position, EVENT_TYPE, JSON.stringify(content)],
})

const handlers = {
  /** @returns the URL to post to */
  async listen(): Promise<string> {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },

  /** Opens a stream of events; what comes on it has arrived at the name. */
  async observe(name: string, origin: string, path: string, key: string): Promise<void> {
    const client = new Client(origin, { bodyTimeout: 0 })
    observers.push(client)
    const { statusCode, body } = await client.request({
      path,
      method: 'GET',
      headers: { authorization: `Bearer ${key}` },
    })
    if (statusCode !== 200) throw new Error(`${path}: ${statusCode} ${await body.text()}`)
    let rest = ''
    body.setEncoding('utf8')
    body.on('error', () => {})
    body.on('data', (chunk: string) => {
      // An event may come in several pieces; only a whole one is looked at.
      const text = rest + chunk
      const end = text.lastIndexOf('\n\n') + 1
      rest = text.slice(end)
      arrived(name, text.slice(0, end))
    })
  },

  async stopObserving(): Promise<void> {
    await Promise.all(observers.splice(0).map((client) => client.destroy()))
  },

  /** @returns how many events were sent */
  async send({ origin, key, insert, connections, seconds, perSecond }: Sending): Promise<number> {
    const pool = new Pool(origin, { connections, pipelining: 1 })
    const database = insert && new pg.Pool({ connectionString: insert.databaseUrl, max: connections })
    const headers = {
      'content-type': 'application/json',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
    }
    let sent = 0
    async function one(): Promise<void> {
      sent += 1
      const event = { type: EVENT_TYPE, payload: { ...payload(serial++), sent_at: performance.now() } }
      await database?.query(insertion(insert?.table ?? '', serial, event.payload))
      const { statusCode, body } = await request(`${origin}/events`, {
        method: 'POST',
        headers,
        body: JSON.stringify(event),
        dispatcher: pool,
      })
      const text = await body.text()
      if (statusCode >= 300) throw new Error(`${statusCode} ${text}`)
    }
    const started = performance.now()
    async function flatOut(): Promise<void> {
      while (performance.now() - started < seconds * 1000) await one()
    }
    /** At times that are not as regular as timers of the service. */
    async function paced(rate: number): Promise<void> {
      const underWay: Promise<void>[] = []
      while (sent < rate * seconds) {
        const at = started + ((sent + Math.random()) * 1000) / rate
        await wait(Math.max(0, at - performance.now()))
        underWay.push(one())
      }
      await Promise.all(underWay)
    }
    try {
      await Promise.all(
        perSecond === undefined ? Array.from({ length: connections }, flatOut) : [paced(perSecond)],
      )
    } finally {
      await pool.destroy()
      await database?.end()
    }
    return sent
  },

  /** Forgets what has arrived. */
  async forget(): Promise<void> {
    arrivals.clear()
  },

  /** How long each event took to arrive there since the last `forget`. */
  async latencies(at: string): Promise<number[]> {
    return arrivals.get(at) ?? []
  },

  async count(at: string): Promise<number> {
    return arrivals.get(at)?.length ?? 0
  },
}

export type RoundTrips = typeof handlers

serve(handlers)
