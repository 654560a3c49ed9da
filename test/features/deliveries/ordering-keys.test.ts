import { sql } from 'kysely'
import t from 'tap'
import { subscribe } from '../../helpers/flow.ts'
import { startService } from '../../helpers/service.ts'

const service = await startService(t, { worker: false })
const client = await service.client()
const NOWHERE = 'http://127.0.0.1:9/'

/** The keys of the deliveries to a subscription, in the order of the log. */
async function keysOf(subscriptionId: string): Promise<(string | null)[]> {
  const { rows } = await sql<{ ordering_key: string | null }>`
    select ordering_key from deliveries where subscription_id = ${subscriptionId} order by position`.execute(
    service.platform.db,
  )
  return rows.map((row) => row.ordering_key)
}

t.test('the key of an event, by what a subscription orders', async (t) => {
  const options = { type: 'type', orgid: 'orgid', flat: 'payload.a', nested: 'payload.a.b', none: undefined }
  const ids: Record<string, string> = {}
  for (const [name, key] of Object.entries(options))
    ids[name] = await subscribe(client, NOWHERE, { ordering: key === undefined ? {} : { key } })
  ids['unordered'] = await subscribe(client, NOWHERE, {})
  const events = [
    { type: 'flow.one', payload: { a: 1 }, orgid: 'north' },
    { type: 'flow.two', payload: { a: '1' } },
    { type: 'flow.one', payload: { a: { b: 'x', c: 2 } } },
    { type: 'flow.one', payload: { a: { c: 2, b: 'x' } } },
    { type: 'flow.one', payload: { a: null } },
    { type: 'flow.one', payload: { b: 1 } },
    { type: 'flow.one', payload: { a: false } },
    { type: 'flow.one', payload: { a: [1, 2] } },
    { type: 'flow.one', payload: { a: '' } },
  ]
  t.equal((await client.post('/events/batch', { events })).status, 201)
  t.strictSame(
    await keysOf(ids['type'] ?? ''),
    events.map(({ type }) => type),
  )
  t.strictSame(await keysOf(ids['orgid'] ?? ''), ['north', ...events.slice(1).map(() => null)])
  t.strictSame(await keysOf(ids['flat'] ?? ''), [
    '1',
    '"1"',
    '{"b":"x","c":2}',
    '{"b":"x","c":2}',
    null,
    null,
    'false',
    '[1,2]',
    '""',
  ])
  t.strictSame(await keysOf(ids['nested'] ?? ''), [null, null, '"x"', '"x"', null, null, null, null, null])
  t.strictSame(
    await keysOf(ids['none'] ?? ''),
    events.map(() => ''),
  )
  t.strictSame(
    await keysOf(ids['unordered'] ?? ''),
    events.map(() => null),
  )
})

t.test('however the event is appended', async (t) => {
  const app = await service.client()
  const byPayload = await subscribe(app, NOWHERE, { ordering: { key: 'payload.order_id' } })
  const byOrg = await subscribe(app, NOWHERE, { ordering: { key: 'orgid' } })
  const event = { type: 'flow.one', payload: { order_id: 7 }, orgid: 'north' }
  const cloudEvent = {
    specversion: '1.0',
    id: '1',
    source: 'test',
    type: 'flow.one',
    data: { order_id: 7 },
    heliographorgid: 'north',
  }
  const asCloudEvent = (type: string) => ({ 'content-type': `application/cloudevents${type}+json` })
  const query =
    'mutation ($payload: JSON!) { createEvent(eventType: "flow.one", payload: $payload, orgid: "north") { id } }'
  const answers = [
    await app.post('/events', event),
    await app.post('/events/batch', { events: [event] }),
    await app.post('/events', cloudEvent, asCloudEvent('')),
    await app.post('/events', [{ ...cloudEvent, id: '2' }], asCloudEvent('-batch')),
    await app.post('/graphql', { query, variables: { payload: event.payload } }),
  ]
  for (const { status, text } of answers) t.ok(status < 300 && !text.includes('"errors"'), text)
  t.strictSame(await keysOf(byPayload), ['7', '7', '7', '7', '7'])
  t.strictSame(await keysOf(byOrg), ['north', 'north', 'north', 'north', 'north'])
})

t.test('keys that are long, or odd', async (t) => {
  const app = await service.client()
  const id = await subscribe(app, NOWHERE, { ordering: { key: 'payload.key' } })
  const long = 'é€😀'.repeat(5_000)
  const keys = [long, `${long}!`, 'a\\u0000b', 'a\\u0001b', 'tab\t', '\ud800', '\ud801', long]
  const events = keys.map((key) => ({ type: 'flow.one', payload: { key } }))
  const storable = events.filter(({ payload }) => payload.key.isWellFormed())
  t.equal((await app.post('/events/batch', { events: storable })).status, 201)
  const found = await keysOf(id)
  t.equal(new Set(found).size, storable.length - 1, 'each value has its own')
  t.equal(found[0], found.at(-1))
  t.ok(found.every((key) => key !== null && key.length < 300))
})

t.test('keys that are numbers are told apart by their values, whatever their size', async (t) => {
  const app = await service.client()
  const id = await subscribe(app, NOWHERE, { ordering: { key: 'payload.key' } })
  const numbers = ['813683310949021977', '813683310949021978', '1e400', '10E+399', '100', '1.00e2']
  for (const number of numbers) await app.post('/events', `{"type":"flow.one","payload":{"key":${number}}}`)
  const [one, other, huge, same, ...hundreds] = await keysOf(id)
  t.strictSame([one, other], ['813683310949021977', '813683310949021978'])
  t.equal(huge, same)
  t.strictSame(hundreds, ['100', '100'])
})
