import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { HARD_NUMBERS } from '../../helpers/numbers.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { call, startService, type Client } from '../../helpers/service.ts'

const violation = { status: 422, type: 'schema-violation' }
const invalidSchema = { status: 422, type: 'invalid-schema' }
const needs = (name: string) => ({ type: 'object', required: [name] })

t.test('schemas of event types', async (t) => {
  const service = await startService(t, { worker: false })

  /** Appends an event. @returns what it says about its schema */
  async function append(client: Client, type: string, payload: object) {
    const { status, text, body } = await client.post('/events', { type, payload })
    assert.equal(status, 201, text)
    return [body.schemaVersion, body.schemaValid]
  }

  t.test('changing one makes a new version; events keep the one they were checked against', async (t) => {
    const client = await service.client()
    const { body: type } = await client.post('/event-types', { name: 'a.b' })
    const path = `/event-types/${type.id}`
    t.strictSame(await append(client, 'a.b', {}), [null, null], 'no schema')

    const first = await client.patch(path, { jsonSchema: needs('one') })
    t.strictSame([first.body.schemaVersion, first.body.jsonSchema], [1, needs('one')])
    t.strictSame(await append(client, 'a.b', { one: 1 }), [1, true])
    t.strictSame(await append(client, 'a.b', { two: 2 }), [1, false], 'stored and flagged')

    const second = await client.patch(path, { jsonSchema: needs('two') })
    t.strictSame([second.body.schemaVersion, second.body.jsonSchema], [2, needs('two')])
    t.strictSame(await append(client, 'a.b', { one: 1 }), [2, false])
    t.strictSame(await append(client, 'a.b', { two: 2 }), [2, true])
    const described = await client.patch(path, { description: 'new' })
    t.equal(described.body.schemaVersion, 2, 'another description is no other schema')

    await client.patch(path, { jsonSchema: null })
    t.strictSame(await append(client, 'a.b', {}), [null, null], 'no schema again')
    const { body: third } = await client.patch(path, { jsonSchema: needs('three') })
    t.ok(third.schemaVersion > 2, 'no version comes twice')
    t.strictSame(await append(client, 'a.b', {}), [third.schemaVersion, false])

    const { body: log } = await client.get('/events?order=asc')
    t.strictSame(
      log.data.map((event: Record<string, unknown>) => [event['schemaVersion'], event['schemaValid']]),
      [
        [null, null],
        [1, true],
        [1, false],
        [2, false],
        [2, true],
        [null, null],
        [third.schemaVersion, false],
      ],
      'the log says the same',
    )
  })

  t.test('enforced or not, from one append to the next', async (t) => {
    const one = await service.client()
    const other = await startService(t, { worker: false, databaseUrl: service.databaseUrl })
    const type = { name: 'a.b', jsonSchema: needs('x'), enforceValidation: true }
    const { body } = await one.post('/event-types', type)
    // The second service has its own memory of types: it must notice each change before it stores anything.
    const appendThere = (payload: object) =>
      call(other.url, 'POST', '/events', { key: one.key, body: { type: 'a.b', payload } })
    for (let round = 0; round < 5; round++) {
      const pointers = ['/payload/x']
      expectProblem(t, await appendThere({}), { ...violation, pointers }, 'enforced')
      t.equal((await appendThere({ x: 1 })).status, 201)
      await one.patch(`/event-types/${body.id}`, { enforceValidation: false })
      const flagged = await appendThere({})
      t.strictSame([flagged.status, flagged.body.schemaValid], [201, false])
      await one.patch(`/event-types/${body.id}`, { enforceValidation: true })
    }
    t.equal((await one.get('/events')).body.data.length, 10)
  })

  t.test('patterns are those of the schema', async (t) => {
    const client = await service.client()
    const patterns: [string, string, string][] = [
      ['^[A-Z]-\\d+$', 'A-12', 'a-12'],
      ['^[a-z]+$', 'abc', 'ABC'],
      ['^ü{2}$', 'üü', 'ü'],
      ['x', 'axb', 'ab'],
    ]
    const properties = Object.fromEntries(patterns.map(([pattern], index) => [`p${index}`, { pattern }]))
    const jsonSchema = {
      properties,
      patternProperties: { '^n_': { type: 'number' }, '^s_': { type: 'string' } },
    }
    await client.post('/event-types', { name: 'a.b', jsonSchema, enforceValidation: true })
    for (const [index, [pattern, matching, other]] of patterns.entries()) {
      t.strictSame(await append(client, 'a.b', { [`p${index}`]: matching }), [1, true], pattern)
      const refused = await client.post('/events', { type: 'a.b', payload: { [`p${index}`]: other } })
      expectProblem(t, refused, { ...violation, pointers: [`/payload/p${index}`] }, pattern)
    }
    t.strictSame(await append(client, 'a.b', { n_a: 1, s_a: 'x' }), [1, true])
    const refused = await client.post('/events', { type: 'a.b', payload: { n_a: 'x', s_a: 1 } })
    expectProblem(t, refused, { ...violation, pointers: ['/payload/n_a', '/payload/s_a'] }, 'names')
  })

  t.test('a deleted type comes back with a new version, and without its old schema', async (t) => {
    const client = await service.client()
    const type = { name: 'a.b', jsonSchema: needs('x'), enforceValidation: true, description: 'old' }
    const { body: old } = await client.post('/event-types', type)
    await append(client, 'a.b', { x: 1 })
    await client.delete(`/event-types/${old.id}`)
    const { status, body: made } = await client.post('/event-types', { name: 'a.b', jsonSchema: needs('y') })
    t.equal(status, 201)
    t.strictSame([made.jsonSchema, made.enforceValidation, made.description], [needs('y'), false, null])
    t.ok(made.schemaVersion > 1, 'no version comes twice')
    t.strictSame(await append(client, 'a.b', { x: 1 }), [made.schemaVersion, false])

    await client.delete(`/event-types/${made.id}`)
    t.strictSame(await append(client, 'a.b', {}), [null, null], 'appending registers it anew')
    const { body: log } = await client.get('/events?order=asc')
    t.equal(log.data[0].schemaVersion, 1, 'events keep theirs')
    const { body: types } = await client.get('/event-types?limit=100')
    const listed = types.data.filter(({ name }: { name: string }) => name === 'a.b')
    t.equal(listed.length, 1)
    t.strictSame([listed[0].jsonSchema, listed[0].enforceValidation], [null, false])
  })

  t.test('come back as they were given', async (t) => {
    const client = await service.client()
    const schemas: Record<string, unknown>[] = [
      {},
      { title: 'ü "quoted" \\ \u2028', examples: [null, 1.5, [], {}] },
      { 'x-of-mine': { a: 1 }, 'two\nlines': 2, '': 3, constructor: 4, toString: 5 },
      { properties: { __proto__x: {}, constructor: { type: 'string' } } },
      { $defs: { n: { type: 'integer' } }, $ref: '#/$defs/n' },
      { $id: 'https://example.com/schema', $schema: 'https://json-schema.org/draft/2020-12/schema' },
      { $comment: 'not used', format: 'no-such-format' },
      { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] },
    ]
    for (const [index, jsonSchema] of schemas.entries()) {
      const { status, text, body } = await client.post('/event-types', { name: `s${index}`, jsonSchema })
      // Not by `t.strictSame`: it prints what it compares, which a member named toString keeps it from.
      assert.equal(status, 201, text)
      assert.deepEqual(body.jsonSchema, jsonSchema)
      assert.deepEqual((await client.get(`/event-types/${body.id}`)).body.jsonSchema, jsonSchema)
      t.pass(`schema ${index}`)
    }
  })

  t.test('that mean something else than they look like are taken with a warning', async (t) => {
    const client = await service.client()
    const jsonSchema = { type: 'object', properties: { x: { type: 'string', nullable: true } } }
    const { body } = await client.post('/event-types', { name: 'warned', jsonSchema })
    const warned = [{ pointer: '/properties/x/nullable', detail: /OpenAPI 3\.0/ }]
    t.match(body.schemaWarnings, warned)
    t.match((await client.get(`/event-types/${body.id}`)).body.schemaWarnings, warned)
    t.strictSame(await append(client, 'warned', { x: null }), [1, true])
    const mended = await client.patch(`/event-types/${body.id}`, { jsonSchema: needs('x') })
    t.strictSame(mended.body.schemaWarnings, [])
    const inexact = await client.post(
      '/event-types',
      '{"name":"inexact","jsonSchema":{"properties":{"id":{"const":813683310949021977}}}}',
    )
    t.match(inexact.body.schemaWarnings, [{ pointer: '/properties/id/const', detail: /as doubles/ }])
  })

  t.test('are given back as they are written, and hold of any text', async (t) => {
    const client = await service.client()
    const jsonSchema = `{"properties":{"a":{"enum":["a\\u0000b","\\ud800"]}},"examples":[${HARD_NUMBERS.join()}]}`
    const type = `{"name":"a.b","enforceValidation":true,"jsonSchema":${jsonSchema}}`
    const made = await client.post('/event-types', type)
    const path = `/event-types/${made.body.id}`
    const changed = await client.patch(path, `{"jsonSchema":${jsonSchema}}`)
    for (const { text } of [made, changed, await client.get(path)]) {
      t.ok(text.includes(`"jsonSchema":${jsonSchema}`), text)
    }
    for (const a of ['a\0b', '\ud800']) t.strictSame(await append(client, 'a.b', { a }), [2, true])
    const other = await client.post('/events', { type: 'a.b', payload: { a: '\ud801' } })
    expectProblem(t, other, violation, 'another half of a pair')
  })

  t.test('that cannot be used are refused, and nothing is left of them', async (t) => {
    const client = await service.client()
    const { body: there } = await client.post('/event-types', { name: 'there', jsonSchema: needs('x') })
    const bad: [string, unknown][] = [
      ['an unknown type', { type: 'text' }],
      ['a keyword of the wrong type', { required: 'x' }],
      ['a bad minimum', { minLength: -1 }],
      ['another document', { $ref: 'https://example.com/other' }],
      ['a definition that is not there', { $ref: '#/$defs/no' }],
      ['an older draft', { $schema: 'http://json-schema.org/draft-04/schema#' }],
      ['a bad pattern', { pattern: '(' }],
      ['look-ahead', { pattern: '^(?!a)' }],
      ['a back-reference', { pattern: '(a)\\1' }],
      ['a bad pattern of names', { patternProperties: { '[': {} } }],
      ['more than 64 KiB', { description: 'x'.repeat(65_536) }],
      // Ajv would check such a schema in a promise that nobody waits for; its rejection ends the process.
      ['an asynchronous one', { $async: true, required: ['x'] }],
    ]
    for (const [what, jsonSchema] of bad) {
      const made = await client.post('/event-types', { name: 'not.made', jsonSchema })
      expectProblem(t, made, invalidSchema, what)
      const changed = await client.patch(`/event-types/${there.id}`, { jsonSchema })
      expectProblem(t, changed, invalidSchema, `${what}, in a change`)
    }
    t.strictSame((await client.get(`/event-types/${there.id}`)).body, there)
    t.strictSame(await append(client, 'there', {}), [1, false], 'which still works')
    t.equal((await client.post('/event-types', { name: 'not.made' })).body.schemaVersion, 0)
  })

  t.test('of one app never touch those of another', async (t) => {
    const attacker = await service.client()
    const meta = 'https://json-schema.org/draft/2020-12/schema'
    for (const [index, $id] of [
      meta,
      `${meta}#`,
      'https://json-schema.org/draft/2020-12/meta/core',
    ].entries())
      await attacker.post('/event-types', { name: `a${index}`, jsonSchema: { $id, type: 'object' } })

    const client = await service.client()
    const type = {
      name: 'a.b',
      enforceValidation: true,
      jsonSchema: { $id: 'urn:example:mine', ...needs('x') },
    }
    const made = await client.post('/event-types', type)
    t.equal(made.status, 201, 'it is taken')
    await attacker.post('/event-types', { ...type, jsonSchema: { $id: 'urn:example:mine' } })
    expectProblem(t, await client.post('/events', { type: 'a.b', payload: {} }), violation, 'its own schema')
    const bad = await client.post('/event-types', { name: 'c', jsonSchema: { type: 5 } })
    expectProblem(t, bad, invalidSchema, 'schemas are still checked')
  })

  t.test('may refer to themselves', async (t) => {
    const client = await service.client()
    const children = { type: 'array', items: { $ref: '#' } }
    const jsonSchema = { ...needs('name'), properties: { children } }
    const type = { name: 'a.tree', jsonSchema, enforceValidation: true }
    const made = await client.post('/event-types', type)
    t.equal(made.status, 201, 'it is taken')
    const tree = { name: 'a', children: [{ name: 'b' }, { children: [{}] }] }
    const refused = await client.post('/events', { type: 'a.tree', payload: tree })
    const pointers = ['/payload/children/1/name', '/payload/children/1/children/0/name']
    expectProblem(t, refused, { ...violation, pointers }, 'a tree')
  })

  t.test('without end are refused, or nothing matches them; they do no harm', async (t) => {
    const client = await service.client()
    const endless = [
      { $ref: '#' },
      { anyOf: [{ $ref: '#' }, { type: 'string' }] },
      { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } },
    ]
    for (const [index, jsonSchema] of endless.entries()) {
      const name = `endless.t${index}`
      const made = await client.post('/event-types', { name, jsonSchema, enforceValidation: true })
      if (made.status === 201)
        expectProblem(t, await client.post('/events', { type: name, payload: {} }), violation, 'an event')
      else expectProblem(t, made, invalidSchema, 'the schema')
    }
  })

  t.test('a payload is valid or not by the schema alone', async () => {
    const client = await service.client()
    const jsonSchema = {
      properties: { n: { type: 'integer', minimum: 0, maximum: 9 }, s: { type: 'string', maxLength: 3 } },
      additionalProperties: false,
    }
    await client.post('/event-types', { name: 'a.b', jsonSchema })
    const value = fc.oneof(fc.integer({ min: -3, max: 12 }), fc.string({ maxLength: 5 }), fc.constant(null))
    const payload = fc.record(
      { n: value, s: value, more: value },
      { requiredKeys: [], noNullPrototype: true },
    )
    await fc.assert(
      fc.asyncProperty(payload, async (given) => {
        const { n, s } = given
        const valid =
          (n === undefined || (typeof n === 'number' && n >= 0 && n <= 9)) &&
          (s === undefined || (typeof s === 'string' && s.length <= 3)) &&
          !('more' in given)
        const { body } = await client.post('/events', { type: 'a.b', payload: given })
        if (body.schemaValid !== valid) throw new Error(`${JSON.stringify(given)}: ${body.schemaValid}`)
      }),
      { numRuns: 60 },
    )
  })
})
