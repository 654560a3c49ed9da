import t from 'tap'
import { openPage } from '../helpers/browser/chromium.ts'
import { observeInPage, seenIn, type SeenInPage } from '../helpers/browser/observing.ts'
import { createTestDatabase, createTestRedis } from '../helpers/environment.ts'
import { startFailOver } from '../helpers/fail-over.ts'
import { startProcess } from '../helpers/processes.ts'
import { createClient, serviceEnvironment } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

const CUSTOMERS = 3
/** What the page observes; the third customer's room it does not. */
const ROOMS = ['orders', 'orders/c0', 'orders/c1']

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`a page in Chromium misses nothing when its API process gets ${signal}`, async (t) => {
    const { page, origin, errors } = await openPage(t)
    const environment = serviceEnvironment(await createTestDatabase(), await createTestRedis(), {
      ALLOWED_ORIGINS: origin,
      LOG_LEVEL: 'info',
    })
    const [first, second] = await Promise.all([
      startProcess(t, 'api', environment),
      startProcess(t, 'api', environment),
    ])
    const client = await createClient(second.url)
    const type = await client.post('/event-types', {
      name: 'order.changed',
      topic: 'orders/changed',
      rooms: ['orders', 'orders/{payload.customer}'],
    })
    t.equal(type.status, 201, type.text)

    const urls = [first.url, second.url]
    let tokens = 0
    const newToken = async () => {
      tokens += 1
      // The WebSocket's are replaced while the test runs; a plain EventSource has to live with one.
      const body = { rooms: ['orders', 'orders/*'], ttlSeconds: tokens < 3 ? 10 : 600 }
      return (await client.post('/observation/tokens', body)).body
    }
    await observeInPage(page, newToken, {
      module: `${first.url}/observation/client/observer.js`,
      urls,
      plainUrl: await startFailOver(t, urls),
      rooms: ROOMS,
    })

    const expected: Record<string, number[]> = Object.fromEntries(ROOMS.map((room) => [room, []]))
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const writing = (async () => {
      for (let number = 0; !stop.signal.aborted; number++) {
        const customer = `c${number % CUSTOMERS}`
        const { status, body } = await client.post('/events', {
          type: 'order.changed',
          payload: { customer },
        })
        if (status !== 201) throw new Error(`an append was answered ${status}`)
        for (const room of ['orders', `orders/${customer}`]) expected[room]?.push(body.position)
      }
    })()
    /** Waits until the page was given so many messages over each transport. */
    const given = (count: (room: string) => number): Promise<SeenInPage> =>
      until(async () => {
        const seen = await seenIn(page)
        const isGiven = [seen.client, seen.watch, seen.plain].every((rooms) =>
          ROOMS.every((room) => (rooms[room]?.length ?? 0) >= count(room)),
        )
        return isGiven && seen
      }, 'the page was given enough')

    const before = await given(() => 20)
    t.strictSame(before.opened, [first.url], 'it is connected to the process that is about to end')
    t.equal(await first.end(signal), signal === 'SIGKILL' ? signal : 0)
    const atEnd = Object.fromEntries(ROOMS.map((room) => [room, expected[room]?.length ?? 0]))
    await given((room) => (atEnd[room] ?? 0) + 20)
    stop.abort()
    await writing
    const seen = await given((room) => expected[room]?.length ?? 0)

    t.strictSame(seen.client, expected, 'WebSocket: each position once, in order')
    t.strictSame(seen.watch, expected, 'the client’s server-sent events: likewise')
    t.strictSame(seen.plain, expected, 'EventSource: likewise')
    t.strictSame([seen.opened.at(-1), seen.lost], [second.url, 0], 'it went to the other process')
    t.ok(seen.plainOpened > 1, 'so did the EventSource')
    t.strictSame(errors, [], 'the page is without errors')
  })
}
