import fc from 'fast-check'
import t from 'tap'
import { operationsOf, type OpenApiDocument } from '../../helpers/openapi.ts'
import { expectEmptyLog, expectProblem } from '../../helpers/problems.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { ADMIN_KEY, call, createClient, startService, type Client } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const LEAST = { type: '100_GENERAL', firstName: 'Ada', email: 'ada@example.com' }
const WHOLE = {
  type: '200_SALES',
  firstName: 'Ada',
  lastName: 'Lovelace',
  email: 'Ada.Lovelace@Example.com',
  businessName: 'Analytical Engines & Söhne',
  subject: 'An offer 💌',
  message: 'First line\nsecond line\r\n\tindented',
}
const ONE_LINE = ['firstName', 'lastName', 'businessName', 'subject'] as const
const forbidden = { status: 403, type: 'forbidden' }
const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })

t.test('inquiries are submitted', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const submit = (body: unknown, sender: Client = client) => sender.post('/inquiries/submit', body)

  t.test('a whole one, which is stored and appended', async (t) => {
    const receiver = await startReceiver(t)
    await client.subscribe(receiver.url, ['inquiry.*'])
    const { status, body: inquiry } = await submit(WHOLE)
    t.equal(status, 201)
    const { id, createdAt, ...rest } = inquiry
    t.strictSame(rest, WHOLE)
    t.match(id, /^\d{17,19}$/)
    t.ok(Math.abs(Date.parse(createdAt) - Date.now()) < 60_000)
    t.strictSame((await client.get(`/inquiries/${id}`)).body, inquiry)

    const { body: log } = await client.get('/events')
    t.equal(log.data.length, 1)
    const [event] = log.data
    const { message: _message, ...payload } = inquiry
    t.strictSame(event.payload, payload, 'the event has all but the message')
    const names = ['id', 'type', 'firstName', 'lastName', 'email', 'businessName', 'subject', 'createdAt']
    t.strictSame(Object.keys(event.payload), names, 'in the order of SPEC section 4')
    t.match(event, { type: 'inquiry.submitted', position: 1, edges: [], originEventId: null })
    const [delivered] = await receiver.waitFor(1)
    t.strictSame(JSON.parse(delivered?.text ?? '').payload, payload, 'so it is delivered')
  })

  t.test('the least that one can be, and what forms send of empty fields', async (t) => {
    const nothing = { lastName: null, businessName: null, subject: null, message: null }
    const blank = { lastName: '', businessName: ' ', subject: '\u00a0 ', message: ' \n\t ' }
    for (const body of [LEAST, { ...LEAST, ...nothing }, { ...LEAST, ...blank }]) {
      const { id: _id, createdAt: _createdAt, ...inquiry } = (await submit(body)).body
      t.strictSame(inquiry, { ...LEAST, ...nothing })
    }
  })

  t.test('texts up to their limits', async (t) => {
    const longest = {
      ...LEAST,
      firstName: '💌'.repeat(100),
      lastName: 'x'.repeat(100),
      email: `${'a'.repeat(64)}@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(57)}.org`,
      businessName: 'ü'.repeat(200),
      subject: '店'.repeat(200),
      message: '💌'.repeat(10_000),
    }
    t.equal(longest.email.length, 254)
    t.match((await submit(longest)).body, longest)
    const escaped = JSON.stringify(longest).replaceAll(
      /[^ -~]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    const { status, body } = await client.post('/inquiries/submit', escaped, {
      'content-type': 'application/json',
    })
    t.equal(status, 201, 'also with every character escaped')
    t.match(body, longest)

    const tooLong: [string, string][] = [
      ...ONE_LINE.map((name): [string, string] => [name, `${longest[name]}x`]),
      ['email', `a${longest.email}`],
      ['message', `${longest.message}x`],
    ]
    for (const [name, text] of tooLong)
      expectProblem(t, await submit({ ...LEAST, [name]: text }), invalid(`/${name}`), `${name} too long`)
  })

  t.test('what is not as it should be is refused, field by field', async (t) => {
    const bad: [unknown, string[]][] = [
      [{}, ['/type', '/firstName', '/email']],
      [{ ...LEAST, type: undefined }, ['/type']],
      [{ ...LEAST, id: '1' }, ['/id']],
      [{ ...LEAST, createdAt: '2026-11-21T17:32:56Z' }, ['/createdAt']],
      [{ ...LEAST, appId: UNKNOWN_ID }, ['/appId']],
      ...['', 'SALES', '200', 200, '200_sales', ' 200_SALES', null, ['200_SALES']].map(
        (type): [unknown, string[]] => [{ ...LEAST, type }, ['/type']],
      ),
      ...['', ' ', '\u00a0', null, 5, true, ['Ada'], {}].map((firstName): [unknown, string[]] => [
        { ...LEAST, firstName },
        ['/firstName'],
      ]),
      ...[
        '',
        'ada',
        'ada@',
        '@example.com',
        'ada@example',
        'a b@example.com',
        ' ada@example.com',
        null,
        1,
      ].map((email): [unknown, string[]] => [{ ...LEAST, email }, ['/email']]),
      ...[
        'ada@example.com\n',
        'ada@exa\0mple.com',
        'Ada <ada@example.com>',
        'a@example.com,b@example.com',
      ].map((email): [unknown, string[]] => [{ ...LEAST, email }, ['/email']]),
      ...(['lastName', 'businessName', 'subject', 'message'] as const).flatMap((name) =>
        [5, false, {}, ['x']].map((value): [unknown, string[]] => [
          { ...LEAST, [name]: value },
          [`/${name}`],
        ]),
      ),
      [
        { ...LEAST, type: 'x', email: 'x', firstName: 1, more: 1 },
        ['/type', '/email', '/firstName', '/more'],
      ],
      [[], ['']],
    ]
    const { body: before } = await client.get('/inquiries?limit=100')
    for (const [body, pointers] of bad)
      expectProblem(t, await submit(body), invalid(...pointers), JSON.stringify(body).slice(0, 90))
    t.strictSame((await client.get('/inquiries?limit=100')).body, before, 'nothing was stored')
  })

  t.test('control characters only where they make sense', async (t) => {
    const controls = [
      ...Array.from({ length: 32 }, (_, code) => code),
      0x7f,
      0x80,
      0x85,
      0x9f,
      0x2028,
      0x2029,
    ]
    const texts = (codes: number[]): string[] => codes.map((code) => `a${String.fromCharCode(code)}b`)
    const inMessage = controls.filter((code) => ![0x09, 0x0a, 0x0d, 0x2028, 0x2029].includes(code))
    for (const half of ['a\ud800b', '\udfff'])
      for (const name of [...ONE_LINE, 'message'])
        expectProblem(t, await submit({ ...LEAST, [name]: half }), invalid(`/${name}`), `half in ${name}`)
    for (const name of ONE_LINE)
      for (const text of texts(controls))
        expectProblem(t, await submit({ ...LEAST, [name]: text }), invalid(`/${name}`), JSON.stringify(text))
    for (const message of texts(inMessage))
      expectProblem(t, await submit({ ...LEAST, message }), invalid('/message'), JSON.stringify(message))
    t.equal((await submit({ ...LEAST, message: texts([9, 10, 13]).join('') })).status, 201)
  })

  t.test('any texts without these come back as they were, but for the space around them', async (t) => {
    const control = /[\p{Cc}\p{Cs}\u2028\u2029]/gu
    const line = (maxLength: number) =>
      fc.string({ unit: 'binary', maxLength }).map((text) => text.replaceAll(control, ' '))
    const texts = fc.record({
      firstName: line(90).map((text) => `${text}x`),
      lastName: fc.option(line(100)),
      businessName: fc.option(line(200)),
      subject: fc.option(line(200)),
      message: fc.option(fc.array(line(200), { maxLength: 5 }).map((lines) => lines.join('\r\n'))),
    })
    await fc.assert(
      fc.asyncProperty(texts, async (given) => {
        const { body } = await submit({ ...LEAST, ...given })
        const expected = Object.entries(given).map(([name, text]) => [name, text?.trim() || null])
        const names = Object.keys(given)
        t.strictSame(
          names.map((name) => [name, body[name]]),
          expected,
        )
        t.strictSame((await client.get(`/inquiries/${body.id}`)).body, body)
      }),
      { numRuns: 40 },
    )
  })

  t.test('many at once have ids of their own, in the order of their times', async (t) => {
    const other = await createClient(service.url)
    const answers = await Promise.all(Array.from({ length: 60 }, () => submit(LEAST, other)))
    const ids = answers.map(({ body }) => BigInt(body.id))
    t.equal(new Set(ids).size, 60)
    const inOrder = answers.map(({ body }) => body).toSorted((a, b) => (BigInt(a.id) < BigInt(b.id) ? -1 : 1))
    const times = inOrder.map(({ createdAt }) => createdAt)
    t.strictSame(
      times,
      times.toSorted((one, next) => Date.parse(one) - Date.parse(next)),
    )
    const { body: log } = await other.get('/events?limit=100')
    t.equal(log.data.length, 60)
  })

  t.test('record and event are stored together, or neither', async (t) => {
    const { pool } = service.platform
    await pool.query(`
      create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$`)
    const other = await createClient(service.url)
    const count = async (): Promise<number> =>
      (await pool.query('select from inquiries where app_id = $1', [other.appId])).rows.length
    for (const table of ['events', 'inquiries']) {
      await pool.query(`
        create trigger refuse before insert on ${table} for each row
          when (new.app_id = '${other.appId}') execute function refuse()`)
      expectProblem(t, await submit(LEAST, other), { status: 500, type: 'internal' }, `no ${table}`)
      await pool.query(`drop trigger refuse on ${table}`)
      t.equal(await count(), 0)
    }
    await expectEmptyLog(t, other, 'an event that nothing came of')
    t.equal((await submit(LEAST, other)).status, 201)
    t.equal(await count(), 1)
  })

  t.test('a publishable key can send inquiries and nothing else', async (t) => {
    const { body: key } = await call(service.url, 'POST', `/apps/${client.appId}/api-keys`, {
      key: ADMIN_KEY,
      body: { name: 'website', scopes: ['inquiries:submit'] },
    })
    const withKey = (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown) =>
      call(service.url, method, path, { key: key.apiKey, ...(body !== undefined && { body }) })
    const { status, body: inquiry } = await withKey('POST', '/inquiries/submit', LEAST)
    t.equal(status, 201)
    expectProblem(t, await withKey('GET', `/inquiries/${inquiry.id}`), forbidden, 'reading its own inquiry')

    const document = (await call(service.url, 'GET', '/openapi.json')).body as OpenApiDocument
    let refused = 0
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, { operationId, security }] of Object.entries(methods)) {
        // An empty list: it needs no key at all.
        if (['submitInquiry', 'queryGraphql'].includes(operationId) || security?.length === 0) continue
        const concrete = path.replaceAll(/\{\w+\}/g, UNKNOWN_ID)
        const name = method.toUpperCase() as 'GET'
        const answer = await withKey(name, concrete, name === 'GET' ? undefined : {})
        const isAdmin = security?.some((scheme) => 'adminKey' in scheme)
        expectProblem(t, answer, isAdmin ? { status: 401, type: 'unauthorized' } : forbidden, operationId)
        refused += 1
      }
    }
    t.ok(refused >= operationsOf(document.paths).length - 12, `${refused} refused it`)
    const query = '{ events(first: 1) { edges { node { id } } } }'
    const { body: graph } = await withKey('POST', '/graphql', { query })
    t.notOk(graph.data?.events, 'nor does GraphQL')
    t.match(JSON.stringify(graph), /events:read/)
  })
})

t.test('inquiries without a key', async (t) => {
  const plain = await startService(t, { worker: false })
  const client = await plain.client()
  const { appId } = client
  const send = (url: string, headers: Record<string, string> = {}, body: unknown = LEAST) =>
    call(url, 'POST', '/inquiries/submit', { body, headers })
  const unauthorized = { status: 401, type: 'unauthorized' }

  const refused = await send(plain.url)
  expectProblem(t, refused, unauthorized, 'no app for them')
  t.match(refused.body.detail, /inquiries:submit.*INQUIRIES_APP_ID/, 'it says what to do')

  const service = await startService(t, {
    worker: false,
    databaseUrl: plain.databaseUrl,
    settings: { INQUIRIES_APP_ID: appId.toUpperCase() },
  })
  const { status, body } = await send(service.url)
  t.equal(status, 201)
  t.strictSame((await client.get(`/inquiries/${body.id}`)).body, body, 'it is the inquiry of that app')

  t.test('a key that is sent counts', async (t) => {
    const other = await createClient(service.url)
    const { body: own } = await send(service.url, { authorization: `Bearer ${other.key}` })
    t.equal((await other.get(`/inquiries/${own.id}`)).status, 200)
    t.equal((await client.get(`/inquiries/${own.id}`)).status, 404)
    for (const authorization of ['', 'Bearer', 'Bearer nonsense', `Basic ${other.key}`])
      expectProblem(t, await send(service.url, { authorization }), unauthorized, authorization)
  })

  t.test('everything else still needs one', async (t) => {
    for (const path of ['/inquiries', `/inquiries/${body.id}`, '/events'])
      expectProblem(t, await call(service.url, 'GET', path), unauthorized, path)
  })

  t.test('an app that does not exist is noticed at the start', async (t) => {
    const settings = { INQUIRIES_APP_ID: UNKNOWN_ID }
    const starting = startService(t, { worker: false, databaseUrl: plain.databaseUrl, settings })
    await t.rejects(starting, { message: /^INQUIRIES_APP_ID: there is no app/ })
  })
})
