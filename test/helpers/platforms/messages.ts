import type { Answer, Client } from '../service.ts'
import { until } from '../until.ts'
import type { Connection, Messenger } from './messenger.ts'

/** Sends a text through a connection. @returns the event */
export async function sendText(
  client: Client,
  connection: Pick<Connection, 'id'>,
  toExternalId: string,
  message = 'hello',
): Promise<Answer['body']> {
  const answer = await client.post('/messages', {
    platformConnectionId: connection.id,
    toExternalId,
    message,
  })
  if (answer.status !== 201) throw new Error(answer.text)
  return answer.body
}

/** Sends a text and waits until the platform has it and that is recorded. */
export async function sendThrough(client: Client, connection: Connection, messenger: Messenger) {
  const event = await sendText(client, connection, messenger.somebody)
  await settled(client, event.id)
  return event
}

/** The event of a message once it was processed, with its deliveries and their attempts, oldest first. */
export async function settled(client: Client, id: string) {
  const event = await until(async () => {
    const { body } = await client.get(`/events/${id}`)
    return (body.status === 'completed' || body.status === 'failed') && body
  }, 'the message is settled')
  const { body: deliveries } = await client.get(`/deliveries?eventId=${id}`)
  const { body: attempts } = await client.get(`/deliveries/${deliveries.data[0].id}/attempts`)
  return { event, deliveries: deliveries.data, attempts: attempts.data }
}

/** The delivery of a message once so many attempts were recorded. */
export const tried = (client: Client, id: string, attempts: number): Promise<Answer['body']> =>
  until(async () => {
    const { body } = await client.get(`/deliveries?eventId=${id}`)
    return body.data[0].attempts >= attempts && body.data[0]
  }, `${attempts} attempts were recorded`)

export const childrenOf = async (client: Client, id: string): Promise<Answer['body'][]> =>
  (await client.get(`/events/${id}/children`)).body.data

export const eventsOf = async (client: Client, type: string): Promise<Answer['body'][]> =>
  (await client.get(`/events?type=${type}&limit=100`)).body.data

/** In the order of their names. */
export const childTypesOf = async (client: Client, id: string): Promise<string[]> => {
  const types: string[] = (await childrenOf(client, id)).map(({ type }) => type)
  return types.toSorted((a, b) => (a < b ? -1 : 1))
}
