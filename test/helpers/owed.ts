import { sql } from 'kysely'
import type { Answer, Client, Service } from './service.ts'
import { until } from './until.ts'

/** Waits until a delivery has ended. @returns it */
export const ended = (client: Client, id: string): Promise<Answer['body']> =>
  until(async () => {
    const { body } = await client.get(`/deliveries/${id}`)
    return body.status !== 'pending' && body
  }, 'the delivery has ended')

/** Waits until nothing is owed any more, to anyone. */
export const allEnded = (service: Service): Promise<unknown> =>
  until(async () => (await countOf(service, 'pending')) === 0, 'nothing is owed any more')

/** Deliveries of a status, of all apps. */
export async function countOf(service: Service, status: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int4 as count from deliveries where status = ${status}`.execute(service.platform.db)
  return rows[0]?.count ?? 0
}

/** Appends events with the numbers from 1 on as payloads. @returns their ids in the order of the log */
export async function appendMany(client: Client, count: number, type = 'many.test'): Promise<string[]> {
  const ids: string[] = []
  while (ids.length < count) {
    const events = Array.from({ length: Math.min(100, count - ids.length) }, (_, index) => ({
      type,
      payload: { number: ids.length + index + 1 },
    }))
    const { status, body, text } = await client.post('/events/batch', { events })
    if (status !== 201) throw new Error(text)
    ids.push(...body.data.map(({ id }: { id: string }) => id))
  }
  return ids
}

/** Waits until a recovery has ended. @returns it */
export const recovered = (client: Client, id: string): Promise<Answer['body']> =>
  until(async () => {
    const { body } = await client.get(`/recoveries/${id}`)
    return body.status !== 'running' && body
  }, 'the recovery has ended')
