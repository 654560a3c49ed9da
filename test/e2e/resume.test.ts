import t from 'tap'
import { createTestDatabase } from '../helpers/environment.ts'
import { observe } from '../helpers/observer.ts'
import { startProcess } from '../helpers/processes.ts'
import { call, createClient, serviceEnvironment } from '../helpers/service.ts'
import { until } from '../helpers/until.ts'

const WRITERS = 10
const EVENTS_PER_WRITER = 150
const EVENTS = WRITERS * EVENTS_PER_WRITER

t.test('an observer that reconnects at random sees every position once, in order', async (t) => {
  const environment = serviceEnvironment(await createTestDatabase(), undefined, { LOG_LEVEL: 'info' })
  const apis = await Promise.all([startProcess(t, 'api', environment), startProcess(t, 'api', environment)])
  const [first] = apis
  const client = await createClient(first.url)

  const writing = Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      const { url } = apis[writer % apis.length] as (typeof apis)[number]
      for (let number = 0; number < EVENTS_PER_WRITER; number++) {
        const { status } = await call(url, 'POST', '/events', {
          key: client.key,
          body: { type: `writer.w${writer}`, payload: { number } },
        })
        if (status !== 201) throw new Error(`an append was answered ${status}`)
      }
    }),
  )

  const seen: { position: number; type: string; number: number }[] = []
  let connections = 0
  while (seen.length < EVENTS) {
    // Each time to the other process, as a load balancer may send it.
    const { url } = apis[connections % apis.length] as (typeof apis)[number]
    const last = seen.at(-1)?.position ?? 0
    const observer = await observe(
      t,
      url,
      client.key,
      connections === 0 ? '?after=0' : '',
      connections === 0 ? undefined : String(last),
    )
    connections += 1
    const enough = 1 + Math.floor(Math.random() * 100)
    await until(
      () => observer.messages.length >= Math.min(enough, EVENTS - seen.length),
      'the observer saw some more',
    )
    observer.drop()
    await observer.ended
    for (const { id, event, data } of observer.messages) {
      seen.push({ position: Number(id), type: event as string, number: JSON.parse(data).payload.number })
    }
  }
  await writing

  t.ok(connections > 5, `${connections} connections`)
  t.strictSame(
    seen.map(({ position }) => position),
    Array.from({ length: EVENTS }, (_, index) => index + 1),
  )
  for (let writer = 0; writer < WRITERS; writer++) {
    t.strictSame(
      seen.filter(({ type }) => type === `writer.w${writer}`).map(({ number }) => number),
      Array.from({ length: EVENTS_PER_WRITER }, (_, number) => number),
      `the events of writer ${writer} are in its order`,
    )
  }
})
