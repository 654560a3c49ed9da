import t from 'tap'
import { call, startService, type Client } from '../../helpers/service.ts'

const APPS = 3
const WRITERS = 8
const ROUNDS = 15

interface Logged {
  id: string
  position: number
  type: string
  payload: { writer: number; round: number; place: number }
  createdAt: string
}

/** The whole log of an app, oldest first. */
async function readLog(client: Client): Promise<Logged[]> {
  const events: Logged[] = []
  let after = ''
  for (;;) {
    const { body } = await client.get(`/events?order=asc&limit=100${after}`)
    events.push(...body.data)
    if (!body.pageInfo.hasNextPage) return events
    after = `&after=${body.pageInfo.endCursor}`
  }
}

t.test('many writers, several apps, two services on one database', async (t) => {
  const one = await startService(t, { worker: false })
  const other = await startService(t, { worker: false, databaseUrl: one.databaseUrl })
  const clients = await Promise.all(Array.from({ length: APPS }, () => one.client()))
  const answered = new Map<string, Logged[][]>(clients.map(({ appId }) => [appId, []]))

  /** Appends one after the other, in turns singly and in batches, of types that are new now and then. */
  async function write({ appId, key }: Client, writer: number): Promise<void> {
    const url = writer % 2 === 0 ? one.url : other.url
    for (let round = 0; round < ROUNDS; round++) {
      const size = (round * 7 + writer) % 10
      const events = Array.from({ length: Math.max(1, size) }, (_, place) => ({
        type: `load.t${(writer + round) % 12}`,
        payload: { writer, round, place },
      }))
      const answer =
        size === 0
          ? await call(url, 'POST', '/events', { key, body: events[0] })
          : await call(url, 'POST', '/events/batch', { key, body: { events } })
      if (answer.status !== 201) throw new Error(`${answer.status}: ${answer.text}`)
      answered.get(appId)?.push(size === 0 ? [answer.body] : answer.body.data)
    }
  }
  await Promise.all(
    clients.flatMap((client) => Array.from({ length: WRITERS }, (_, writer) => write(client, writer))),
  )

  for (const [index, client] of clients.entries()) {
    t.test(`app ${index + 1}`, async (t) => {
      const log = await readLog(client)
      const requests = answered.get(client.appId) ?? []
      t.equal(requests.length, WRITERS * ROUNDS)
      t.strictSame(
        log.map(({ position }) => position),
        Array.from({ length: requests.flat().length }, (_, place) => place + 1),
        'positions are 1, 2, 3 … without gaps or repeats',
      )
      t.strictSame(
        log,
        requests.flat().toSorted((a, b) => a.position - b.position),
        'the log holds exactly what was answered',
      )
      t.equal(new Set(log.map(({ id }) => id)).size, log.length, 'ids are unique')
      for (const events of requests) {
        const first = events[0]?.position ?? 0
        const inARow = events.every(
          ({ position, payload }, place) => position === first + place && payload.place === place,
        )
        if (!inARow) t.fail(`a batch was torn apart: ${JSON.stringify(events)}`)
      }
      for (let writer = 0; writer < WRITERS; writer++) {
        const rounds = log
          .filter(({ payload }) => payload.writer === writer)
          .map(({ payload }) => payload.round)
        t.strictSame(
          rounds,
          rounds.toSorted((a, b) => a - b),
          `what writer ${writer} appended after an answer comes later`,
        )
      }
      const { rows } = await one.platform.pool.query<{ backwards: string }>(
        `select count(*) as backwards
           from (select created_at < lag(created_at) over (order by position) as earlier
                   from events where app_id = $1) steps
          where earlier`,
        [client.appId],
      )
      // To the microsecond, which the API does not show.
      t.equal(Number(rows[0]?.backwards), 0, 'created_at never decreases along positions')
    })
  }
})

t.test('simultaneous appends of new types register each type once', async (t) => {
  const one = await startService(t, { worker: false })
  const other = await startService(t, { worker: false, databaseUrl: one.databaseUrl })
  const { key } = await one.client()
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, number) =>
      call(number % 2 === 0 ? one.url : other.url, 'POST', '/events', {
        key,
        body: { type: `new.t${number % 6}`, payload: {} },
      }),
    ),
  )
  for (const { status, text } of answers) if (status !== 201) t.fail(text)
  const typeIds = Map.groupBy(answers, ({ body }) => body.type as string)
  t.equal(typeIds.size, 6)
  for (const [type, own] of typeIds)
    t.equal(new Set(own.map(({ body }) => body.eventTypeId)).size, 1, `${type} has one id`)
  const { body } = await call(one.url, 'GET', '/event-types?limit=100', { key })
  const custom = body.data.filter(({ isGlobal }: { isGlobal: boolean }) => !isGlobal)
  t.strictSame(
    Object.fromEntries(custom.map(({ id, name }: { id: string; name: string }) => [name, id])),
    Object.fromEntries([...typeIds].map(([name, own]) => [name, own[0]?.body.eventTypeId])),
    'and is listed with it',
  )
  t.equal(custom.length, 6)
})
