import { createClient, type Answer, type Client } from '../../test/helpers/service.ts'
import { httpConnection } from '../../test/helpers/connections.ts'
import { EVENT_TYPE, JSON_SCHEMA, numbers, type EdgesOf } from './events.ts'

/**
 * A new app whose event type has a schema that is enforced.
 *
 * @param rooms that its events are in
 */
export async function createApp(apiUrl: string, rooms: readonly string[] = []): Promise<Client> {
  const app = await createClient(apiUrl, 'bench')
  const type = { name: EVENT_TYPE, jsonSchema: JSON_SCHEMA, enforceValidation: true, rooms }
  expectCreated(await app.post('/event-types', type))
  return app
}

export async function subscribe(app: Client, url: string): Promise<void> {
  const subscription = { name: 'bench', eventPatterns: [EVENT_TYPE], destination: { type: 'webhook', url } }
  expectCreated(await app.post('/subscriptions', subscription))
}

/** Edges as an order may have them: to one of a hundred platform users, and to one of a hundred files. */
export async function createEdges(app: Client): Promise<EdgesOf> {
  const made = async (path: string, body: object): Promise<string> =>
    expectCreated(await app.post(path, body)).body.id
  const platformConnectionId = await made('/platform-connections', httpConnection())
  const people: string[] = []
  const files: string[] = []
  for (const number of numbers(100)) {
    people.push(
      await made('/platform-users', { platformConnectionId, externalId: `+1415555${1_000 + number}` }),
    )
    const url = `https://example.com/invoices/${number}.pdf`
    files.push(await made('/files', { filename: `${number}.pdf`, mimeType: 'application/pdf', url }))
  }
  return (number) => [
    { type: 'placed_by', targetType: 'platform_user', targetId: people[number % people.length] as string },
    { type: 'invoice', targetType: 'file', targetId: files[number % files.length] as string },
  ]
}

function expectCreated(answer: Answer): Answer {
  if (answer.status !== 201) throw new Error(`The service answered ${answer.status}: ${answer.text}`)
  return answer
}
