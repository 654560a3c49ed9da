import type { Executor } from '../../../platform/postgres/pool.ts'
import type { Flow } from '../../matching/index.ts'
import type { Allowance } from './allowance.ts'
import { READY, READY_IN_ORDER } from './ready.ts'

/** Parked deliveries that may be taken. */
export interface Ready {
  ids: string[]
  /** Until when the others wait to be sent in one request, in milliseconds from now; undefined: they do not. */
  waitMs?: number | undefined
  lastKey: string | null
}

const NOTHING: Ready = { ids: [], lastKey: null }

/** @param after in an order, the key after which to look first */
export async function findReady(
  executor: Executor,
  of: { appId: string; subscriptionId: string },
  allowance: Allowance,
  after: string | null,
): Promise<Ready> {
  const { appId, subscriptionId } = of
  const { ordering, batching, deliveries: limit, isProbe } = allowance
  if (limit === 0) return NOTHING
  if (ordering) {
    const { rows } = await executor.query({
      name: 'ready-in-order',
      text: READY_IN_ORDER,
      values: [appId, subscriptionId, limit, ordering.onDead === 'hold', after],
    })
    const found = rows as { id: string; last_key: string | null }[]
    if (found.length === 0 && after !== null) return findReady(executor, of, allowance, null)
    return { ids: found.map(({ id }) => id), lastKey: found[0]?.last_key ?? null }
  }
  const { rows } = await executor.query({
    name: 'ready',
    text: READY,
    values: [appId, subscriptionId, limit],
  })
  const found = rows as Gathering[]
  const { ids, waitMs } = batching && !isProbe ? gather(found, batching) : { ids: found.map(({ id }) => id) }
  return { ids, waitMs, lastKey: null }
}

interface Gathering {
  id: string
  attempts: number
  waited_ms: number
}

/** Leaves out those that do not fill a request yet, unless the first of them waited long enough. */
function gather(
  ready: readonly Gathering[],
  { maxEvents, maxWaitSeconds = 0 }: NonNullable<Flow['batching']>,
): { ids: string[]; waitMs?: number } {
  const fresh = ready.filter(({ attempts }) => attempts === 0)
  const open = fresh.slice(fresh.length - (fresh.length % maxEvents))
  const waitMs = maxWaitSeconds * 1000 - Math.max(...open.map((delivery) => delivery.waited_ms))
  if (open.length === 0 || waitMs <= 0) return { ids: ready.map(({ id }) => id) }
  const left = new Set(open)
  return { ids: ready.filter((delivery) => !left.has(delivery)).map(({ id }) => id), waitMs }
}
