import { sql } from 'kysely'
import type { Test } from 'tap'
import { httpConnection } from './connections.ts'
import { startReceiver } from './receiver.ts'
import { ADMIN_KEY, call, type Client, type Service } from './service.ts'
import { until } from './until.ts'

let count = 0
const another = (name: string): string => `${name}.${(count += 1)}`

/** Makes one record of each kind when asked, by where it stands in the API; each answers its id. */
export async function createRecords(t: Test, service: Service, client: Client) {
  const receiver = await startReceiver(t)
  // Under `/busy` nothing is taken.
  receiver.answer = (response, { path }) => response.writeHead(path === '/busy' ? 503 : 200).end('read')

  async function create(path: string, body: unknown): Promise<string> {
    const key = path.startsWith('/apps') ? ADMIN_KEY : client.key
    const answer = await call(service.url, 'POST', path, { key, body })
    if (answer.status >= 300) throw new Error(`${path}: ${answer.text}`)
    return answer.body.id
  }

  /** Appends an event that one subscription is owed, and waits until it was tried. */
  async function attempted(path = ''): Promise<{ event: string; delivery: string; subscription: string }> {
    const type = another('doc.delivered')
    const subscription = await create('/subscriptions', {
      name: type,
      eventPatterns: [type],
      destination: { type: 'webhook', url: `${receiver.url}${path}` },
      retrySchedule: ['1h'],
    })
    const event = await create('/events', { type, payload: { x: 1 } })
    const delivery = await until(async () => {
      const { body } = await client.get(`/events/${event}/deliveries`)
      return body.data.find(({ attempts }: { attempts: number }) => attempts > 0)?.id as string | undefined
    }, 'an attempt was made')
    return { event, delivery, subscription }
  }

  async function recovery(status: 'running' | 'paused'): Promise<string> {
    const { subscription } = await attempted()
    const id = await create(`/subscriptions/${subscription}/replay`, { fromPosition: 1 })
    await until(async () => {
      const { body } = await client.get(`/recoveries/${id}`)
      return body.status === 'completed'
    }, 'it has ended')
    // As if it still had something to do.
    await sql`update recoveries set status = ${status}, completed_at = null, run_at = now() + interval '1 hour'
               where id = ${id}`.execute(service.platform.db)
    return id
  }

  const connection = () => create('/platform-connections', httpConnection(`${receiver.url}messages`))
  const platformUser = async () =>
    create('/platform-users', { platformConnectionId: await connection(), externalId: another('somebody') })

  return {
    receiver,
    create,
    attempted,
    recovery,
    /** By the beginning of their paths. */
    by: {
      apps: () => create('/apps', { name: 'documented' }),
      events: () => create('/events', { type: 'doc.happened', payload: { x: 1 } }),
      'event-types': () => create('/event-types', { name: another('doc.type') }),
      users: () => create('/users', { name: 'Ada' }),
      'platform-users': platformUser,
      files: () => create('/files', { filename: 'empty' }),
      'platform-connections': connection,
      'link-codes': async () => create('/link-codes', { platformUserId: await platformUser() }),
      inquiries: () =>
        create('/inquiries/submit', { type: '200_SALES', firstName: 'Ada', email: 'ada@example.com' }),
      subscriptions: async () => (await attempted()).subscription,
      deliveries: async () => (await attempted()).delivery,
      attempts: async () => (await attempted()).delivery,
      recoveries: () => recovery('running'),
    } as Record<string, () => Promise<string>>,
  }
}
