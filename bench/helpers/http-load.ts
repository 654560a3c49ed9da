import { createHistogram } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { BareClient, encodeRequest } from '../lib/bare-client.ts'
import { serve } from '../lib/serve.ts'

/** A request that a load repeats: a POST, or a GET when it has no body. */
export interface LoadRequest {
  path: string
  headers: Record<string, string>
  body?: string
}

export interface HttpLoad {
  origin: string
  /** Sent one after the other, again and again. */
  requests: readonly LoadRequest[]
  connections: number
  seconds: number
  /** Requests to send at most, however long they take. */
  count?: number
  /** Sent at this rate, rather than each as soon as an answer makes room. */
  perSecond?: number
}

export interface LoadResult {
  requests: number
  seconds: number
  p50Ms: number
  p99Ms: number
}

const handlers = {
  /** @throws Error when an answer is not a 2xx: figures of refused requests would say nothing */
  async run(load: HttpLoad): Promise<LoadResult> {
    const { origin, connections, seconds, count = Infinity, perSecond } = load
    const requests = load.requests.map((request) => encodeRequest(origin, request))
    const clients = await Promise.all(Array.from({ length: connections }, () => BareClient.connect(origin)))
    const free = [...clients]
    const latency = createHistogram()
    let sent = 0

    async function one(client: BareClient, began = performance.now()): Promise<void> {
      await client.exchange(requests[sent++ % requests.length] as Buffer)
      latency.record(Math.max(1, Math.round((performance.now() - began) * 1e6)))
    }
    const started = performance.now()
    const isOver = (): boolean =>
      sent >= count || (count === Infinity && performance.now() - started >= seconds * 1000)
    async function flatOut(client: BareClient): Promise<void> {
      while (!isOver()) await one(client)
    }
    /** What finds no free connection waits for one, and that counts. */
    async function paced(rate: number): Promise<void> {
      const underWay: Promise<void>[] = []
      for (let due = 0; due < rate * seconds; due++) {
        const at = started + (due * 1000) / rate
        await wait(Math.max(0, at - performance.now()))
        while (free.length === 0) await wait(1)
        const client = free.pop() as BareClient
        underWay.push(one(client, at).finally(() => free.push(client)))
      }
      await Promise.all(underWay)
    }
    try {
      await (perSecond === undefined ? Promise.all(clients.map(flatOut)) : paced(perSecond))
    } finally {
      for (const client of clients) client.close()
    }
    return {
      requests: sent,
      seconds: (performance.now() - started) / 1000,
      p50Ms: latency.percentile(50) / 1e6,
      p99Ms: latency.percentile(99) / 1e6,
    }
  },
}

export type HttpLoader = typeof handlers

serve(handlers)
