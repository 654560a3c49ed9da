import t from 'tap'
import { expectEmptyLog, expectProblem } from '../../helpers/problems.ts'
import { startService, type Client } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const MAX_PAYLOAD_BYTES = 2048
const MAX_BATCH_BYTES = 262_144

const good = (number: number) => ({ type: 'batch.item', payload: { number } })
const goods = (count: number) => Array.from({ length: count }, (_, number) => good(number))

/** Good events with one bad one at place 3. */
const withBad = (bad: unknown): { events: unknown[] } => ({ events: goods(6).with(3, bad as never) })

/** Names of the app's own types. */
async function customTypes(client: Client): Promise<string[]> {
  const { body } = await client.get('/event-types?limit=100')
  return body.data
    .filter((type: { isGlobal: boolean }) => !type.isGlobal)
    .map((type: { name: string }) => type.name)
}

t.test('a batch is stored as a whole or not at all', async (t) => {
  const service = await startService(t, {
    worker: false,
    settings: { MAX_PAYLOAD_BYTES: String(MAX_PAYLOAD_BYTES), MAX_BATCH_BYTES: String(MAX_BATCH_BYTES) },
  })

  t.test('one bad event, and nothing is stored', async (t) => {
    const reserved = { status: 422, type: 'reserved-event-type', pointers: ['/events/3/type'] }
    const invalid = { status: 400, type: 'validation-failed' }
    const bad: [string, unknown, { status: number; type: string; pointers?: string[] }][] = [
      ['no object', 5, { ...invalid, pointers: ['/events/3'] }],
      ['null', null, { ...invalid, pointers: ['/events/3'] }],
      ['nothing in it', {}, { ...invalid, pointers: ['/events/3/payload', '/events/3/type'] }],
      ['a bad type name', { ...good(3), type: 'No Type' }, { ...invalid, pointers: ['/events/3/type'] }],
      ['a number as its type', { ...good(3), type: 3 }, { ...invalid, pointers: ['/events/3/type'] }],
      ['an unknown property', { ...good(3), extra: 1 }, { ...invalid, pointers: ['/events/3/extra'] }],
      [
        'a bad edge',
        { ...good(3), edges: [{ type: 'a', targetType: 'b', targetId: 7 }] },
        { ...invalid, pointers: ['/events/3/edges/0/targetId'] },
      ],
      [
        'a payload too large',
        { ...good(3), payload: { x: 'y'.repeat(MAX_PAYLOAD_BYTES) } },
        { status: 413, type: 'payload-too-large', pointers: ['/events/3/payload'] },
      ],
      [
        'a payload too deep',
        { ...good(3), payload: JSON.parse(`{"a":${'['.repeat(101)}${']'.repeat(101)}}`) },
        { ...invalid, pointers: ['/events/3/payload'] },
      ],
      [
        'an unknown origin',
        { ...good(3), originEventId: UNKNOWN_ID },
        { status: 422, type: 'unknown-origin', pointers: ['/events/3/originEventId'] },
      ],
      ['a reserved type', { ...good(3), type: 'system.x' }, reserved],
      ['another', { ...good(3), type: 'message.foo' }, reserved],
      ['one that is built in', { ...good(3), type: 'user.merged' }, reserved],
    ]
    for (const [what, event, expected] of bad) {
      const client = await service.client()
      const answer = await client.post('/events/batch', withBad(event))
      expectProblem(t, answer, expected, what)
      if (expected.type === 'reserved-event-type')
        t.ok(answer.body.errors[0].detail.includes((event as { type: string }).type), 'it names the type')
      t.strictSame(await customTypes(client), [], `${what}: no type was registered`)
      await expectEmptyLog(t, client, what)
    }
  })

  t.test('every bad event is named, not only the first', async (t) => {
    const client = await service.client()
    const events = goods(6) as Record<string, unknown>[]
    events[1] = { ...good(1), type: 'B' }
    events[4] = { type: 'batch.item' }
    const answer = await client.post('/events/batch', { events })
    const pointers = ['/events/1/type', '/events/4/payload']
    expectProblem(t, answer, { status: 400, type: 'validation-failed', pointers }, 'two bad ones')
    await expectEmptyLog(t, client, 'two bad ones')
    t.equal(answer.status, 400)
  })

  t.test('the batch itself must have the right form', async (t) => {
    const bad: [string, unknown, string][] = [
      ['an array', goods(2), ''],
      ['no events', {}, '/events'],
      ['an empty batch', { events: [] }, '/events'],
      ['null', { events: null }, '/events'],
      ['one event', { events: good(1) }, '/events'],
      ['an event beside it', { events: goods(1), type: 'a.b' }, '/type'],
      ['1,001 events', { events: goods(1_001) }, '/events'],
    ]
    for (const [what, body, pointer] of bad) {
      const client = await service.client()
      const expected = { status: 400, type: 'validation-failed', pointers: [pointer] }
      expectProblem(t, await client.post('/events/batch', body), expected, what)
      await expectEmptyLog(t, client, what)
    }
    t.pass(`${bad.length} cases`)
  })

  t.test('a batch beyond the limit of bytes', async (t) => {
    const client = await service.client()
    const padding = ' '.repeat(MAX_BATCH_BYTES)
    const answer = await client.post('/events/batch', `${padding}${JSON.stringify({ events: goods(2) })}`)
    expectProblem(t, answer, { status: 413, type: 'payload-too-large' }, 'one that is too large')
    await expectEmptyLog(t, client, 'one that is too large')
    t.equal(answer.status, 413)
  })

  t.test('a batch of the largest size, just within the limit of bytes', async (t) => {
    const client = await service.client()
    const text = JSON.stringify({ events: goods(1_000) })
    const { status, body } = await client.post('/events/batch', text.padStart(MAX_BATCH_BYTES))
    t.equal(status, 201)
    t.strictSame(
      body.data.map((event: { position: number; payload: unknown }) => [event.position, event.payload]),
      goods(1_000).map(({ payload }, index) => [index + 1, payload]),
    )
  })

  t.test('very many faults get a short answer', async (t) => {
    const client = await service.client()
    for (const events of ['0,'.repeat(100_000), '{},'.repeat(80_000), '{"a":1,"b":2},'.repeat(900)]) {
      const answer = await client.post('/events/batch', `{"events":[${events}0]}`)
      expectProblem(t, answer, { status: 400, type: 'validation-failed' }, `${events.slice(0, 20)}…`)
      t.ok(answer.text.length < 65_536, `${answer.text.length} characters`)
    }
    await expectEmptyLog(t, client, 'very many faults')
  })
})

t.test('the largest batch, wrong in millions of places, is refused like any other', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const answer = await client.post('/events/batch', `{"events":[${'{},'.repeat(5_500_000)}{}]}`)
  expectProblem(t, answer, { status: 400, type: 'validation-failed' }, 'millions of events that are none')
  t.ok(answer.text.length < 65_536, `${answer.text.length} characters`)
  await expectEmptyLog(t, client, 'millions of events that are none')
})

t.test('a payload that its type does not take', async (t) => {
  const service = await startService(t, { worker: false })
  const strict = {
    name: 'strict.type',
    enforceValidation: true,
    jsonSchema: {
      type: 'object',
      required: ['id', 'missing/with~signs'],
      properties: {
        id: { type: 'string', pattern: '^[A-Z]-\\d+$' },
        'missing/with~signs': {},
        lines: {
          type: 'array',
          items: { type: 'object', properties: { count: { type: 'integer', minimum: 1 } } },
        },
      },
      additionalProperties: false,
    },
  }
  const payload = { id: 'x', lines: [{ count: 1 }, { count: 0 }, { count: 'two' }], 'more/of~it': 1 }
  const violations = ['/missing~1with~0signs', '/id', '/lines/1/count', '/lines/2/count', '/more~1of~0it']

  t.test('every violation is listed with its pointer', async (t) => {
    const client = await service.client()
    t.equal((await client.post('/event-types', strict)).status, 201)
    const answer = await client.post('/events', { type: 'strict.type', payload })
    const pointers = violations.map((pointer) => `/payload${pointer}`)
    expectProblem(t, answer, { status: 422, type: 'schema-violation', pointers }, 'one event')
    await expectEmptyLog(t, client, 'one event')
  })

  t.test('of every event of a batch, and nothing of it is stored', async (t) => {
    const client = await service.client()
    await client.post('/event-types', strict)
    const fine = { type: 'strict.type', payload: { id: 'A-1', 'missing/with~signs': 0 } }
    const bad = { type: 'strict.type', payload }
    const pointers = [1, 3].flatMap((index) =>
      violations.map((pointer) => `/events/${index}/payload${pointer}`),
    )
    const answer = await client.post('/events/batch', { events: [fine, bad, fine, bad] })
    expectProblem(t, answer, { status: 422, type: 'schema-violation', pointers }, 'a batch')
    await expectEmptyLog(t, client, 'a batch')
    t.equal(answer.body.errors.length, pointers.length, 'each once')
  })

  t.test('a refused batch does not register the types of its other events', async (t) => {
    const client = await service.client()
    await client.post('/event-types', strict)
    const events = [
      { type: 'never.seen', payload: {} },
      { type: 'strict.type', payload },
    ]
    expectProblem(
      t,
      await client.post('/events/batch', { events }),
      { status: 422, type: 'schema-violation' },
      'the batch',
    )
    t.strictSame(await customTypes(client), ['strict.type'])
  })
})
