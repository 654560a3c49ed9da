import t, { type Test } from 'tap'
import { writeExtension } from '../../helpers/extension-module.ts'
import { startService, type Client } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** What a destination is asked to send, and how often it puts each event off. */
interface Desk {
  asked: { n: number; at: number; number: number }[]
  putOff: Record<number, number>
}

/** A service with a destination that puts deliveries off by 300 ms. */
async function startDesk(t: Test) {
  const desk: Desk = { asked: [], putOff: {} }
  const name = `desk${Math.random()}`
  Object.assign(globalThis, { [name]: desk })
  const path = await writeExtension(
    t,
    `
    import { defineExtension, destinationKind, later, Type } from 'heliograph/extension'
    const desk = globalThis['${name}']
    const done = { succeeded: true, responseStatus: null, responseHeaders: null, responseBody: null, error: null }
    const kind = destinationKind({
      settings: Type.Object({ type: Type.Literal('desk') }, { additionalProperties: false }),
      hidden: [],
      check: (settings) => settings,
      connect: () => ({
        async send(event, _target, { number }) {
          const { n } = JSON.parse(event.payload)
          desk.asked.push({ n, at: performance.now(), number })
          if (!desk.putOff[n]) return done
          desk.putOff[n] -= 1
          return later(300)
        },
      }),
    })
    export default defineExtension({ name: 'desk', destinations: [kind] })`,
  )
  const client = await (await startService(t, { settings: { EXTENSIONS: path } })).client()
  return { client, desk }
}

const subscribe = async (client: Client, more: object = {}): Promise<string> => {
  const { body } = await client.post('/subscriptions', {
    name: 'desk',
    eventPatterns: ['*'],
    destination: { type: 'desk' },
    ...more,
  })
  return body.id
}

const append = (client: Client, ...numbers: number[]) =>
  client.post('/events/batch', { events: numbers.map((n) => ({ type: 'a.b', payload: { n } })) })

const succeeded = (client: Client, count: number) =>
  until(async () => {
    const { body } = await client.get('/deliveries?status=succeeded')
    return body.data.length === count && body.data
  }, `${count} deliveries have succeeded`)

t.test('a destination may put a delivery off', async (t) => {
  const { client, desk } = await startDesk(t)
  const id = await subscribe(client, { retrySchedule: [] })
  desk.putOff[1] = 12
  await append(client, 1)
  const [delivery] = await succeeded(client, 1)
  t.equal(delivery.attempts, 1, 'which is no attempt')
  t.equal(desk.asked.length, 13)
  t.ok(
    desk.asked.every(({ number }) => number === 1),
    'so that its schedule of retries is not used up',
  )
  const waits = desk.asked.slice(1).map(({ at }, index) => at - (desk.asked[index]?.at ?? 0))
  t.ok(Math.min(...waits) >= 290, `not before it asked for: ${Math.round(Math.min(...waits))} ms`)
  const { body } = await client.get(`/deliveries/${delivery.id}/attempts`)
  t.equal(body.data.length, 1)
  const { body: subscription } = await client.get(`/subscriptions/${id}`)
  t.match(subscription.health, { state: 'healthy', consecutiveFailures: 0 })
})

t.test('what is in an order waits for what was put off', async (t) => {
  const { client, desk } = await startDesk(t)
  await subscribe(client, { ordering: {} })
  desk.putOff[1] = 2
  await append(client, 1, 2, 3)
  await succeeded(client, 3)
  t.strictSame(
    desk.asked.map(({ n }) => n),
    [1, 1, 1, 2, 3],
  )
})
