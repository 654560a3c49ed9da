import t from 'tap'
import { HARD_NUMBERS } from '../../helpers/numbers.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const notFound = { status: 404, type: 'not-found' }
const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })

const MAX_ATTRIBUTES = 16_384
/** Attributes whose JSON takes so many bytes. */
const attributesOf = (bytes: number, character = 'x') => {
  const rest = bytes - JSON.stringify({ a: '' }).length
  const size = Buffer.byteLength(character)
  return { a: character.repeat(Math.floor(rest / size)) + 'x'.repeat(rest % size) }
}

t.test('users', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()

  t.test('are created with nothing, or with all there is', async (t) => {
    const { status, body: plain } = await client.post('/users', {})
    t.equal(status, 201)
    t.match(plain.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-/)
    t.equal(new Date(plain.createdAt).toISOString(), plain.createdAt)
    t.strictSame(plain, {
      id: plain.id,
      name: null,
      isSystem: false,
      attributes: {},
      mergedInto: null,
      createdAt: plain.createdAt,
      updatedAt: plain.createdAt,
    })
    const input = { name: 'Ada Lovelace', attributes: { plan: 'pro', seats: 3, tags: ['a', null, true] } }
    const { body: full } = await client.post('/users', input)
    t.strictSame(full, { ...plain, ...input, ...pick(full, 'id', 'createdAt', 'updatedAt') })
    t.not(full.id, plain.id)
    for (const user of [plain, full]) {
      t.strictSame((await client.get(`/users/${user.id}`)).body, user, 'it reads as it was created')
      t.strictSame((await client.get(`/users/${user.id.toUpperCase()}`)).body, user, 'in capitals too')
    }
    const { body: list } = await client.get('/users')
    t.strictSame(list, { data: [plain, full], pageInfo: { hasNextPage: false, endCursor: cursor(full.id) } })
    t.equal((await client.post('/users', { name: null })).body.name, null)
  })

  t.test('keep their names to the letter', async (t) => {
    const names = [
      'x',
      ' ',
      ' a\tb\n',
      'Zoë',
      'Zoe\u0308',
      '李小龍',
      'שלום',
      '👩‍👩‍👧‍👦',
      '\u{10ffff}\uffff\ufeff',
      '😀'.repeat(200),
      '"\\u0000\\',
      "'; drop table users; --",
      '__proto__',
    ]
    for (const name of names) {
      const { status, body } = await client.post('/users', { name })
      t.equal(status, 201, JSON.stringify(name).slice(0, 40))
      t.equal((await client.get(`/users/${body.id}`)).body.name, name)
    }
  })

  t.test('keep their attributes', async (t) => {
    const texts = [
      '{}',
      '{"":1,"a b":{"c":[[],{},""]},"\\n":"\\t"}',
      '{"__proto__":{"x":1},"constructor":1,"toString":null,"hasOwnProperty":[],"toJSON":2,"$ref":"#/x"}',
      '{"id":1,"name":2,"type":"object","properties":{}}',
      '{"n":[0,-1,1.5,1e-7,9007199254740991,-9007199254740991]}',
      '{"zero":"\\\\u0000","half":"\\\\ud800","whole":"\\ud83d\\ude00"}',
      `{"a":${'['.repeat(99)}${']'.repeat(99)}}`,
      JSON.stringify(attributesOf(MAX_ATTRIBUTES)),
      JSON.stringify(attributesOf(MAX_ATTRIBUTES, 'ü')),
      JSON.stringify(attributesOf(MAX_ATTRIBUTES, '😀')),
    ]
    for (const text of texts) {
      const { status, body } = await client.post('/users', `{"attributes":${text}}`)
      t.equal(status, 201, text.slice(0, 60))
      const { body: read } = await client.get(`/users/${body.id}`)
      t.strictSame(read.attributes, JSON.parse(text), 'read')
      t.strictSame(read.attributes, body.attributes, 'and answered at once')
      const own = Object.hasOwn(JSON.parse(text), '__proto__')
      t.equal(Object.hasOwn(read.attributes, '__proto__'), own, 'names are only names')
    }
  })

  t.test('refuse attributes that cannot be kept', async (t) => {
    const { body: user } = await client.post('/users', { attributes: { kept: true } })
    const bad: Record<string, string> = {
      'a byte too many': JSON.stringify(attributesOf(MAX_ATTRIBUTES + 1)),
      'a byte too many in umlauts': JSON.stringify(attributesOf(MAX_ATTRIBUTES + 1, 'ü')),
      'nested too deeply': `{"a":${'['.repeat(8_000)}${']'.repeat(8_000)}}`,
    }
    for (const [what, text] of Object.entries(bad)) {
      const body = `{"attributes":${text}}`
      expectProblem(t, await client.post('/users', body), invalid('/attributes'), what)
      expectProblem(
        t,
        await client.patch(`/users/${user.id}`, body),
        invalid('/attributes'),
        `${what}, later`,
      )
    }
    t.strictSame((await client.get(`/users/${user.id}`)).body, user, 'nothing was changed')
  })

  t.test('keep attributes as they are written', async (t) => {
    const texts = [
      `{"numbers":[${HARD_NUMBERS.join()}]}`,
      `{"deep":{"id":${HARD_NUMBERS[0]}},"text":"1.10"}`,
      '{"a":"\\u0000","b\\u0000":[{"c":"\\\\\\u0000"}],"\\ud800":"\\ude00\\ud83d"}',
    ]
    const { body: changed } = await client.post('/users', {})
    for (const attributes of texts) {
      const made = await client.post('/users', `{"attributes":${attributes}}`)
      const answers = [
        made,
        await client.get(`/users/${made.body.id}`),
        await client.patch(`/users/${changed.id}`, `{"attributes":${attributes}}`),
        await client.get(`/users/${changed.id}`),
      ]
      for (const { text } of answers) t.ok(text.includes(`"attributes":${attributes}`), text)
    }
  })

  t.test('change by what is given, and by nothing else', async (t) => {
    const { body: user } = await client.post('/users', { name: 'Ada', attributes: { a: 1, b: 2 } })
    const path = `/users/${user.id}`
    await until(() => Date.now() > Date.parse(user.updatedAt) + 1, 'a later time')
    const { status, body: renamed } = await client.patch(path, { name: 'Grace' })
    t.equal(status, 200)
    t.strictSame(renamed, { ...user, name: 'Grace', updatedAt: renamed.updatedAt })
    t.ok(renamed.updatedAt > user.updatedAt)
    const { body: replaced } = await client.patch(path, { attributes: { c: 3 } })
    t.strictSame(replaced, { ...renamed, attributes: { c: 3 }, updatedAt: replaced.updatedAt })
    const { body: emptied } = await client.patch(path, { name: null, attributes: {} })
    t.strictSame(emptied, { ...user, name: null, attributes: {}, updatedAt: emptied.updatedAt })
    t.strictSame((await client.get(path)).body, emptied)
  })

  t.test('change at once without losing what another changed', async (t) => {
    const { body: user } = await client.post('/users', {})
    const path = `/users/${user.id}`
    const changes = Array.from({ length: 20 }, (_, number) =>
      number % 2 === 0 ? { name: `${number}` } : { attributes: { number } },
    )
    const answers = await Promise.all(changes.map((change) => client.patch(path, change)))
    t.ok(answers.every(({ status }) => status === 200))
    const { body: read } = await client.get(path)
    t.equal(Number(read.name) % 2, 0, 'a name of one of them')
    t.equal(read.attributes.number % 2, 1, 'and the attributes of another')
    t.ok(read.name !== null)
  })

  t.test('are deleted once', async (t) => {
    const { body: user } = await client.post('/users', {})
    const path = `/users/${user.id}`
    const answers = await Promise.all(Array.from({ length: 5 }, () => client.delete(path)))
    t.strictSame(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [204, 404, 404, 404, 404],
    )
    for (const gone of [path, `/users/${UNKNOWN_ID}`]) {
      expectProblem(t, await client.get(gone), notFound, 'read')
      expectProblem(t, await client.patch(gone, { name: 'x' }), notFound, 'changed')
      expectProblem(t, await client.delete(gone), notFound, 'deleted')
    }
    const { text } = await client.get('/users?limit=100')
    t.notOk(text.includes(user.id))
  })

  t.test('stay while platform users are theirs', async (t) => {
    const connection = await client.post('/platform-connections', {
      platform: 'http',
      name: 'support',
      settings: { url: 'https://example.com/' },
      credentials: { secret: `whsec_${Buffer.alloc(32).toString('base64')}` },
    })
    const { body: user } = await client.post('/users', {})
    const path = `/users/${user.id}`
    const { body: platformUser } = await client.post('/platform-users', {
      platformConnectionId: connection.body.id,
      externalId: 'one',
      userId: user.id,
    })
    expectProblem(t, await client.delete(path), { status: 409, type: 'conflict' }, 'it has one')
    t.strictSame((await client.get(path)).body, user)
    t.equal((await client.delete(`/platform-users/${platformUser.id}`)).status, 204)
    t.equal((await client.delete(path)).status, 204, 'it has none any more')
  })

  t.test('are created by many at once', async (t) => {
    const names = Array.from({ length: 50 }, (_, number) => `one of many ${number}`)
    const answers = await Promise.all(names.map((name) => client.post('/users', { name })))
    t.ok(answers.every(({ status }) => status === 201))
    t.equal(new Set(answers.map(({ body }) => body.id)).size, names.length)
    for (const [index, { body }] of answers.entries()) t.equal(body.name, names[index])
  })
})

const cursor = (id: string): string => Buffer.from(id).toString('base64url')

const pick = (value: Record<string, unknown>, ...names: string[]) =>
  Object.fromEntries(names.map((name) => [name, value[name]]))
