import { createHistogram } from 'node:perf_hooks'
import { Pool } from 'undici'
import { serve } from '../lib/serve.ts'
import type { LoadRequest, LoadResult } from './http-load.ts'

export interface PoolLoad {
  origin: string
  /** Sent one after the other, again and again. */
  requests: readonly LoadRequest[]
  connections: number
  seconds: number
}

const handlers = {
  /**
   * What a client does that posts and keeps no record: undici's Pool, as cheaply as it can be used.
   *
   * @throws Error when an answer is not a 2xx: figures of refused requests would say nothing
   */
  async run({ origin, requests, connections, seconds }: PoolLoad): Promise<LoadResult> {
    const pool = new Pool(origin, { connections, pipelining: 1 })
    const latency = createHistogram()
    let sent = 0
    const started = performance.now()

    async function flatOut(): Promise<void> {
      while (performance.now() - started < seconds * 1000) {
        const began = performance.now()
        await exchange(pool, requests[sent++ % requests.length] as LoadRequest)
        latency.record(Math.max(1, Math.round((performance.now() - began) * 1e6)))
      }
    }
    try {
      await Promise.all(Array.from({ length: connections }, flatOut))
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
      { path, method: 'POST', headers, body: body ?? null },
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

export type PoolLoader = typeof handlers

serve(handlers)
