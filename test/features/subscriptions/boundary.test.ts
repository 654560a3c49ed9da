import t from 'tap'
import { call, startService, type Client, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const WRITERS = 4
const SUBSCRIPTIONS = 12

interface Window {
  id: string
  /** Positions that had been answered before the subscription was asked for. */
  before: number[]
  /** How many appends had been asked for when it was answered. */
  asked: number
}

/** Positions of the events that a subscription is owed. */
async function owedPositions(client: Client, positions: Map<string, number>, id: string): Promise<number[]> {
  const owed: number[] = []
  let after = ''
  for (;;) {
    const { body } = await client.get(`/deliveries?limit=100&subscriptionId=${id}${after}`)
    for (const { eventId } of body.data) owed.push(positions.get(eventId) as number)
    if (!body.pageInfo.hasNextPage) return owed.toSorted((a, b) => a - b)
    after = `&after=${body.pageInfo.endCursor}`
  }
}

t.test('a subscription gets every event after its creation and none from before it', async (t) => {
  const one = await startService(t, { worker: false })
  // A second service on the same database: what one knows of subscriptions, the other has to notice.
  const other = await startService(t, { worker: false, databaseUrl: one.databaseUrl })
  const client = await one.client()
  const serviceOf = (number: number): Service => (number % 2 === 0 ? one : other)

  /** In the order in which the appends were asked for; the position once it was answered. */
  const appends: { id?: string; position?: number }[] = []
  const state = { writing: true }
  async function write(writer: number): Promise<void> {
    for (let number = 0; state.writing; number++) {
      const append: { id?: string; position?: number } = {}
      appends.push(append)
      const { status, text, body } = await call(serviceOf(writer).url, 'POST', '/events', {
        key: client.key,
        body: { type: `order.t${number % 3}`, payload: { writer, number } },
      })
      if (status !== 201) throw new Error(`${status}: ${text}`)
      Object.assign(append, { id: body.id, position: body.position })
    }
  }
  const answered = (): number[] => appends.flatMap(({ position }) => position ?? [])
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)))

  const windows: Window[] = []
  for (let number = 0; number < SUBSCRIPTIONS; number++) {
    const wanted = answered().length + 15
    await until(() => answered().length >= wanted, 'the writers got on')
    const before = answered()
    const { status, body } = await call(serviceOf(number).url, 'POST', '/subscriptions', {
      key: client.key,
      body: {
        name: `s${number}`,
        eventPatterns: [number % 3 === 0 ? 'order.*' : '*'],
        destination: { type: 'webhook', url: 'http://127.0.0.1:9/' },
      },
    })
    t.equal(status, 201)
    windows.push({ id: body.id, before, asked: appends.length })
  }
  const wanted = answered().length + 30
  await until(() => answered().length >= wanted, 'the writers got on')
  state.writing = false
  await writers

  const positions = new Map(appends.map(({ id, position }) => [id as string, position as number]))
  const head = Math.max(...positions.values())
  t.equal(positions.size, head, 'every event is known')
  for (const [number, { id, before, asked }] of windows.entries()) {
    const owed = await owedPositions(client, positions, id)
    const first = owed[0] ?? 0
    t.strictSame(
      owed,
      Array.from({ length: head - first + 1 }, (_, place) => first + place),
      `subscription ${number} is owed every event from ${first} to ${head}, once`,
    )
    t.ok(first > Math.max(...before), 'none that was answered before it was asked for')
    const later = appends.slice(asked).map(({ position }) => position as number)
    t.ok(first <= Math.min(...later), 'every one that was asked for after it was answered')
  }
})
