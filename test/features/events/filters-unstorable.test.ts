import fc from 'fast-check'
import t from 'tap'
import { jsonObjectText } from '../../helpers/json-text.ts'
import { positionsOf, readPages } from '../../helpers/pages.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

const asFilter = (text: string): string => `payload=${encodeURIComponent(text)}`
/** JSON texts of values that the log keeps as text but jsonb does not take. */
const NOT_FOR_JSONB = [
  '"\\u0000"',
  '"a\\u0000b"',
  '1e999999',
  '-1E+999999',
  '1e-999999',
  '"\\ud800"',
  '"\\udc00x"',
  '"\\ud800\\ud800"',
]

t.test('payloads that jsonb does not take match no condition, and break no list', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const append = async (payload: string): Promise<number> => {
    const { status, body, text } = await client.post('/events', `{"type":"a.b","payload":${payload}}`)
    if (status !== 201) throw new Error(text)
    return body.position
  }
  const all: number[] = []
  for (const value of NOT_FOR_JSONB) {
    all.push(await append(`{"ok":1,"bad":${value}}`))
    all.push(await append(`{"ok":1,"bad":[{"deep":${value}}]}`))
  }
  for (const text of ['"\\u0000"', '"\\ud800"']) all.push(await append(`{"ok":1,${text}:1}`))
  const good = [await append('{"ok":1,"bad":"none"}'), await append('{"ok":1.0}')]

  const depth = `${'{"a":'.repeat(100)}1${'}'.repeat(100)}`
  good.push(await append(`{"ok":1,"d":${'['.repeat(99)}${']'.repeat(99)}}`))
  const deepest = await append(depth)

  const { rows: listed } = await readPages(client, '/events?order=asc')
  t.strictSame(
    listed.map(({ position }) => position),
    [...all, ...good, deepest],
    'without a condition all are listed',
  )
  for (const filter of ['', '&type=a.b', '&status=completed', '&typePrefix=a']) {
    // Whether a number too small for jsonb is taken as 0 is its own business.
    const found = await positionsOf(client, `/events?order=asc&${asFilter('{"ok":1}')}${filter}`)
    t.strictSame(
      found.filter((position) => !all.includes(position)),
      good,
      `what jsonb takes is found${filter}`,
    )
    t.notOk(
      found.some((position) => [1, 2, 3, 4, 5, 6].includes(position)),
      'a zero character or 1e999999',
    )
  }
  t.strictSame(await positionsOf(client, `/events?${asFilter(depth)}`), [deepest])

  t.test('as a condition they are refused', async (t) => {
    for (const value of NOT_FOR_JSONB.filter((text) => text !== '1e-999999')) {
      for (const text of [`{"a":${value}}`, `{"a":[{"b":${value}}]}`]) {
        for (const more of ['', '&type=a.b', '&type=never.seen', '&edge=a:b:c', '&status=failed']) {
          const answer = await client.get(`/events?${asFilter(text)}${more}`)
          expectProblem(t, answer, { status: 400, type: 'validation-failed' }, text + more)
        }
      }
    }
    for (const text of ['{"\\u0000":1}', '{"\\ud800":1}']) {
      const answer = await client.get(`/events?${asFilter(text)}`)
      expectProblem(t, answer, { status: 400, type: 'validation-failed' }, text)
    }
    t.pass('all of them')
  })

  t.test('a condition that is nested as deeply as its length allows', async (t) => {
    const text = `{"a":${'['.repeat(1_990)}${']'.repeat(1_990)}}`
    const { status } = await client.get(`/events?${asFilter(text)}`)
    t.ok(status === 200 || status === 400, `${status}`)
  })
})

t.test('no payload and no condition make a list fail', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const payloads = fc.sample(jsonObjectText, { numRuns: 150, seed: 3 })
  const events = payloads.map((payload) => `{"type":"a.b","payload":${payload}}`)
  const { status, text } = await client.post('/events/batch', `{"events":[${events.join(',')}]}`)
  t.equal(status, 201, text.slice(0, 300))
  const wrong: string[] = []
  const filters = fc.sample(jsonObjectText, { numRuns: 100, seed: 4 })
  for (const filter of [...filters, ...payloads.slice(0, 50)].filter((each) => each.length <= 1_000)) {
    const answer = await client.get(`/events?limit=2&${asFilter(filter)}`)
    if (answer.status !== 200 && answer.status !== 400) wrong.push(`${answer.status}: ${filter}`)
  }
  t.strictSame(wrong, [])
})
