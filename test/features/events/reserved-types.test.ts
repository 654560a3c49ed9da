import t from 'tap'
import { STRUCTURED, BATCH } from '../../helpers/cloud-events.ts'
import { expectEmptyLog, expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, call, createImporter, startService, type Client } from '../../helpers/service.ts'
import { ask, dataOf, expectGraphProblem } from '../graphql/graph.ts'

const RESERVED = [
  'message.inbound',
  'link_code.activation',
  'user.merged',
  'system.subscription.failing',
  'system.platform.skipped',
  'inquiry.submitted',
]
const refused = (...pointers: string[]) => ({ status: 422, type: 'reserved-event-type', pointers })
const cloudEvent = (type: string) => ({ specversion: '1.0', id: type, source: '/s', type, data: {} })
const createEvent = (type: string) =>
  `mutation { createEvent(eventType: "${type}", payload: {}) { id eventType } }`

t.test('what only the service itself appends', async (t) => {
  const service = await startService(t, { worker: false })

  t.test('is refused from clients, in every way of appending', async (t) => {
    const client = await service.client()
    for (const type of RESERVED) {
      const event = { type, payload: {} }
      const other = { type: 'order.placed', payload: {} }
      expectProblem(t, await client.post('/events', event), refused('/type'), type)
      const batch = await client.post('/events/batch', { events: [other, event, event] })
      expectProblem(t, batch, refused('/events/1/type', '/events/2/type'), `${type} in a batch`)
      const structured = { 'content-type': STRUCTURED }
      const one = await client.post('/events', cloudEvent(type), structured)
      expectProblem(t, one, refused('/type'), `${type} as a CloudEvent`)
      const many = [cloudEvent('order.placed'), cloudEvent(type)]
      const several = await client.post('/events', many, { 'content-type': BATCH })
      expectProblem(t, several, refused('/1/type'), `${type} in a batch of CloudEvents`)
      expectGraphProblem(t, await ask(client, createEvent(type)), refused('/eventType'), `${type} by GraphQL`)
    }
    await expectEmptyLog(t, client, 'nothing was stored')
  })

  t.test('is not made by reporting on an event of a client', async (t) => {
    const client = await service.client()
    const reports = {
      message: ['inbound', 'outbound', 'delivered', 'read', 'failed'],
      user: ['merged'],
      link_code: ['generated', 'activation'],
      system: ['x'],
      inquiry: ['submitted'],
    }
    for (const [type, statuses] of Object.entries(reports)) {
      const { body: event } = await client.post('/events', { type, payload: {} })
      for (const status of statuses) {
        const answer = await client.post(`/events/${event.id}/status`, { status })
        expectProblem(t, answer, refused('/status'), `${status} of ${type}`)
      }
      t.strictSame((await client.get(`/events/${event.id}/children`)).body.data, [])
    }
  })

  t.test('is taken from a key that may import, as far as there is such a type', async (t) => {
    const client = await createImporter(service.url)
    for (const type of RESERVED) {
      t.match(await client.post('/events', { type, payload: {} }), { status: 201, body: { type } })
      const { createEvent: created } = await dataOf(client, createEvent(type))
      t.equal(created.eventType, type)
    }
    for (const type of ['message.seen', 'user.merged.mine', 'system.x', 'link_code.'])
      expectProblem(
        t,
        await client.post('/events', { type, payload: {} }),
        refused(),
        `${type}, a custom type`,
      )
  })

  t.test('a key may import only when that was asked for', async (t) => {
    const { appId } = await service.client()
    const keysOf = async (body: object): Promise<Pick<Client, 'post'>> => {
      const { body: made } = await call(service.url, 'POST', `/apps/${appId}/api-keys`, {
        key: ADMIN_KEY,
        body,
      })
      return { post: (path, content) => call(service.url, 'POST', path, { key: made.apiKey, body: content }) }
    }
    const event = { type: 'user.merged', payload: {} }
    t.equal((await (await keysOf({ name: 'usual' })).post('/events', event)).status, 422)
    const alone = await keysOf({ name: 'import alone', scopes: ['events:import'] })
    t.equal((await alone.post('/events', event)).status, 403, 'it is no right to append')
    const both = await keysOf({ name: 'import', scopes: ['events:import', 'events:write'] })
    t.equal((await both.post('/events', event)).status, 201)
  })
})
