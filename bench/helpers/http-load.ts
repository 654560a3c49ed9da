import { createHistogram } from 'node:perf_hooks'
import { setTimeout as wait } from 'node:timers/promises'
import { Pool } from 'undici'
import { serve } from '../lib/serve.ts'

/** A POST that a load repeats. */
export interface LoadRequest {
  path: string
  headers: Record<string, string>
  body: string
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
    const { origin, requests, connections, seconds, count = Infinity, perSecond } = load
    const pool = new Pool(origin, { connections, pipelining: 1 })
    const latency = createHistogram()
    let sent = 0

    async function one(): Promise<void> {
      const request = requests[sent++ % requests.length] as LoadRequest
      const began = performance.now()
      await exchange(pool, request)
      latency.record(Math.max(1, Math.round((performance.now() - began) * 1e6)))
    }
    const started = performance.now()
    const isOver = (): boolean =>
      sent >= count || (count === Infinity && performance.now() - started >= seconds * 1000)
    async function flatOut(): Promise<void> {
      while (!isOver()) await one()
    }
    async function paced(rate: number): Promise<void> {
      const underWay: Promise<void>[] = []
      while (sent < rate * seconds) {
        await wait(Math.max(0, started + (sent * 1000) / rate - performance.now()))
        underWay.push(one())
      }
      await Promise.all(underWay)
    }
    const runs = perSecond === undefined ? Array.from({ length: connections }, flatOut) : [paced(perSecond)]
    try {
      await Promise.all(runs)
    } finally {
      await pool.destroy()
    }
    return {
      requests: sent,
      seconds: (performance.now() - started) / 1000,
      p50Ms: latency.percentile(50) / 1e6,
      p99Ms: latency.percentile(99) / 1e6,
    }
  },
}

/** The cheapest way through undici: no body stream is made of the answer. */
function exchange(pool: Pool, { path, headers, body }: LoadRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    let status = 0
    let text = ''
    pool.dispatch(
      { path, method: 'POST', headers, body },
      {
        onRequestStart() {},
        onResponseStart: (_controller, code) => void (status = code),
        onResponseData(_controller, chunk) {
          if (status >= 300) text += chunk.toString()
        },
        onResponseEnd: () => (status < 300 ? resolve() : reject(new Error(`${path}: ${status} ${text}`))),
        onResponseError: (_controller, error) => reject(error),
      },
    )
  })
}

export type HttpLoader = typeof handlers

serve(handlers)
