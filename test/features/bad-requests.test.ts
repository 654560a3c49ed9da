import t from 'tap'
import { expectProblem } from '../helpers/problems.ts'
import { ADMIN_KEY, call, startService } from '../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const UNKNOWN_SNOWFLAKE = '912345678901234567'
/** Bodies that a route takes although they say nothing. */
const WITHOUT_BODY = /^\/subscriptions\/[^/]+\/(rotate-secret|test)$/
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
type Method = (typeof METHODS)[number]

const notFound = { status: 404, type: 'not-found' }

t.test('requests that no route takes', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: document } = await call(service.url, 'GET', '/openapi.json')
  const templates = Object.entries(document.paths as Record<string, object>).map(([path, operations]) => ({
    path,
    concrete: path.replaceAll(/\{(\w+)\}/g, (_, name) => {
      if (path.startsWith('/inquiries/')) return UNKNOWN_SNOWFLAKE
      return name === 'keyId' ? '0'.repeat(16) : UNKNOWN_ID
    }),
    form: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    methods: Object.keys(operations).map((method) => method.toUpperCase() as Method),
  }))

  t.test('another method: which ones there are', async (t) => {
    let tried = 0
    for (const { concrete } of templates) {
      const there = new Set(
        templates.filter(({ form }) => form.test(concrete)).flatMap(({ methods }) => methods),
      )
      for (const method of METHODS.filter((name) => !there.has(name))) {
        const answer = await call(service.url, method, concrete, { key: client.key, body: {} })
        const what = `${method} ${concrete}`
        expectProblem(t, answer, { status: 405, type: 'method-not-allowed' }, what)
        const allowed = String(answer.headers.allow).split(', ').toSorted().join()
        const wanted = [...there, ...(there.has('GET') ? ['HEAD'] : [])].toSorted().join()
        if (allowed !== wanted) t.fail(`${what}: it says that there are ${allowed}`)
        tried += 1
      }
    }
    t.ok(tried > 50, `${tried} were refused`)
  })

  t.test('a path that is not there', async (t) => {
    const paths = ['/', '/nothing', `/events/${UNKNOWN_ID}/nothing`, '/Events', '//events', '/v1/events']
    for (const path of paths)
      for (const method of ['GET', 'POST'] as const)
        expectProblem(t, await call(service.url, method, path, client), notFound, `${method} ${path}`)
    t.pass('all were refused')
  })

  const withIds = templates.filter(({ path }) => path.includes('{'))
  const adminOr = (path: string): string => (path.startsWith('/apps') ? ADMIN_KEY : client.key)

  t.test('an id that is none', async (t) => {
    const ids = [
      '1',
      'x',
      'null',
      `${UNKNOWN_ID}0`,
      UNKNOWN_ID.slice(1),
      `urn:uuid:${UNKNOWN_ID}`,
      "'or''='",
      '%00',
      '%F0%9F%98%80',
    ]
    for (const { path, methods } of withIds) {
      for (const method of methods) {
        for (const id of ids) {
          const concrete = path.replaceAll(/\{\w+\}/g, id)
          const answer = await call(service.url, method, concrete, {
            key: adminOr(path),
            ...((method === 'POST' || method === 'PATCH') && { body: { name: 'x', status: 'read' } }),
          })
          expectProblem(t, answer, { status: 400, type: 'validation-failed' }, `${method} ${concrete}`)
          const pointers = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer)
          if (new Set(pointers).size < pointers.length) t.fail(`one thing is told twice: ${answer.text}`)
        }
      }
    }
    t.ok(withIds.length > 5)
  })

  t.test('an id of nothing', async (t) => {
    for (const { path, methods, concrete } of withIds) {
      for (const method of methods) {
        const body = path.endsWith('/status')
          ? { status: 'read' }
          : path.endsWith('/replay')
            ? { fromPosition: 1 }
            : WITHOUT_BODY.test(path)
              ? {}
              : { name: 'x' }
        const change = path.startsWith('/event-types')
          ? { description: 'x' }
          : { [path.startsWith('/files') ? 'filename' : 'name']: 'x' }
        const answer = await call(service.url, method, concrete, {
          key: adminOr(path),
          ...(method === 'POST' && { body }),
          ...(method === 'PATCH' && { body: change }),
        })
        expectProblem(t, answer, notFound, `${method} ${path}`)
      }
    }
    t.ok(withIds.length > 5)
  })

  t.test('a body that is none', async (t) => {
    const bad: { what: string; body: string | Buffer; type?: string; status: number; problem: string }[] = [
      { what: 'half an object', body: '{', status: 400, problem: 'invalid-json' },
      { what: 'bytes that are not UTF-8', body: Buffer.from([0xff]), status: 400, problem: 'invalid-json' },
      { what: 'nothing', body: '', status: 400, problem: 'validation-failed' },
      { what: 'null', body: 'null', status: 400, problem: 'validation-failed' },
      { what: 'a list', body: '[]', status: 400, problem: 'validation-failed' },
      { what: 'a text', body: '"x"', status: 400, problem: 'validation-failed' },
      { what: 'an unknown member', body: '{"__proto__":1}', status: 400, problem: 'validation-failed' },
      { what: 'no JSON', body: '{}', type: 'text/plain', status: 415, problem: 'unsupported-media-type' },
      {
        what: 'a form',
        body: 'name=x',
        type: 'application/x-www-form-urlencoded',
        status: 415,
        problem: 'unsupported-media-type',
      },
      { what: 'too much', body: `"${'x'.repeat(17_000_000)}"`, status: 413, problem: 'payload-too-large' },
    ]
    let tried = 0
    for (const { path, concrete, methods } of templates) {
      for (const method of methods) {
        if (!document.paths[path][method.toLowerCase()].requestBody) continue
        tried += 1
        for (const { what, body, type = 'application/json', status, problem } of bad) {
          const isTaken = WITHOUT_BODY.test(path) && (body === '' || body === 'null')
          const answer = await call(service.url, method, concrete, {
            key: adminOr(path),
            headers: { 'content-type': type },
            body,
          })
          const expected = isTaken ? notFound : { status, type: problem }
          expectProblem(t, answer, expected, `${method} ${path}: ${what}`)
        }
      }
    }
    t.ok(tried >= 20, `${tried} routes refused them`)
  })

  t.test('a URL that cannot be understood', async (t) => {
    for (const path of ['/events/%zz', '/events/%', '/events/%C3%28', `/events/${'a'.repeat(201)}`]) {
      const answer = await client.get(path)
      t.ok([400, 404, 414].includes(answer.status), `${path.slice(0, 20)}: ${answer.status}`)
      const type = String(answer.body.type).split(':').at(-1) as string
      expectProblem(t, answer, { status: answer.status, type }, path.slice(0, 20))
    }
  })
})
