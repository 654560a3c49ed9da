import { createClient, type Answer, type Client } from '../../test/helpers/service.ts'
import { EVENT_TYPE, JSON_SCHEMA } from './events.ts'

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

function expectCreated({ status, text }: Answer): void {
  if (status !== 201) throw new Error(`The service answered ${status}: ${text}`)
}
