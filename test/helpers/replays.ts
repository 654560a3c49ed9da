import type { Test } from 'tap'
import { appendMany } from './owed.ts'
import { startReceiver, type Received } from './receiver.ts'
import { startService, type Backend } from './service.ts'

/** A log that a new subscription has not seen, and an endpoint that can be held up. */
export async function startReplays(
  t: Test,
  { backend = 'postgres', events = 600 }: { backend?: Backend; events?: number } = {},
) {
  // Where other tests keep the machine busy, the first requests of many are answered after ten seconds.
  const settings = { DELIVERY_TIMEOUT_MS: '30000', DELIVERY_LEASE_MS: '40000' }
  const service = await startService(t, { backend, settings })
  const another = () =>
    startService(t, {
      databaseUrl: service.databaseUrl,
      ...(service.redisUrl && { redisUrl: service.redisUrl }),
      settings,
    })
  const client = await service.client()
  const receiver = await startReceiver(t)
  await appendMany(client, events)
  const subscription = await client.subscribe(receiver.url)
  const replay = async (criteria: object = { fromPosition: 1 }) => {
    const { status, body } = await client.post(`/subscriptions/${subscription.id}/replay`, criteria)
    t.equal(status, 202)
    return body.id as string
  }
  /** Answers nothing until it is let go. */
  const holdUp = () => {
    let waiting: (() => void)[] | undefined = []
    receiver.answer = (response) => (waiting ? waiting.push(() => response.end()) : response.end())
    return () => {
      for (const finish of waiting ?? []) finish()
      waiting = undefined
    }
  }
  const act = (id: string, action: string) => client.post(`/recoveries/${id}/${action}`, undefined)
  return { service, another, client, receiver, subscription, replay, holdUp, act }
}

/** The different ids of what came in. */
export const messageIds = (received: readonly Received[]): Set<unknown> =>
  new Set(received.map(({ headers }) => headers['webhook-id']))
