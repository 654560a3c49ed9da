import t from 'tap'
import { ADMIN_KEY, call, startService, type Answer } from '../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const BODIES = ['{}', '"text"', 'null', '[]', '17', 'true', '[{}]', '[null]', '{"":0}', '{"query":5}']

/** What no person would say: of a validator, of the language, of a library. */
const NOT_OURS =
  /must NOT|must match|must be (object|string|array|integer|number|boolean)\b|[<>]=|headers is|[Cc]annot (destructure|read)|undefined|\[object|\bFST_|\bERR_|Unexpected token|\^|\\[dwups]|is not a function|body must|querystring|params/

const textsOf = ({ body }: Answer): string[] => [
  body?.title,
  body?.detail,
  ...(body?.errors ?? []).map(({ detail, message }: Record<string, string>) => detail ?? message),
]

t.test('whatever the body is, the answer is a sentence of ours', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const other = await service.client()
  const { body: document } = await call(service.url, 'GET', '/openapi.json')
  let refused = 0
  for (const [template, operations] of Object.entries(document.paths as Record<string, object>)) {
    const path = template.replaceAll(/\{(\w+)\}/g, (_, name) =>
      template.startsWith('/apps') && name !== 'keyId' ? other.appId : UNKNOWN_ID,
    )
    for (const method of Object.keys(operations)) {
      if (!['post', 'patch', 'put'].includes(method)) continue
      const key = template.startsWith('/apps') ? ADMIN_KEY : client.key
      for (const body of BODIES) {
        const what = `${method} ${template} ${body}`
        const answer = await call(service.url, method.toUpperCase(), path, {
          key,
          body,
          headers: { 'content-type': 'application/json' },
        })
        t.ok(answer.status < 500, `${what}: ${answer.text}`)
        if (answer.status < 400) continue
        refused += 1
        for (const text of textsOf(answer)) {
          t.type(text, 'string', what)
          t.notMatch(text, NOT_OURS, what)
          t.match(text, /^\S.*[^\s,:]$/s, what)
        }
      }
    }
  }
  t.ok(refused > 200, `${refused} were refused`)
})

t.test('values of wrong forms are told in words, wherever they stand', async (t) => {
  const service = await startService(t, { worker: false })
  const { url } = service
  const client = await service.client()
  const long = 'x'.repeat(300)
  const answers = [
    await client.get('/events?limit=x&type=Order&processedAfter=now'),
    await client.get('/events?limit=0'),
    await client.get('/events/not-an-id'),
    await call(url, 'GET', '/events/stream', { key: client.key, headers: { 'last-event-id': 'x' } }),
    await client.post('/events', { type: 'A b', payload: 5, externalId: 'a\0b', orgid: '' }),
    await client.post('/events', { type: long, payload: {}, edges: {} }),
    await client.post('/events/batch', { events: [] }),
    await client.post('/event-types', { name: 'a', rooms: Array(9).fill('a'), jsonSchema: 'x' }),
    await client.post('/subscriptions', {
      name: '',
      eventPatterns: ['order*'],
      retrySchedule: ['5 s'],
      destination: { type: 'pigeon' },
    }),
    await client.post(
      '/events',
      { specversion: '1.0', id: '', source: '', type: 'x', data_base64: '%%%' },
      {
        'content-type': 'application/cloudevents+json',
      },
    ),
    await client.post('/users', { name: 5, attributes: [] }),
    await client.post('/files', { name: 'a', sha256: 'abc', sizeBytes: -1 }),
  ]
  for (const answer of answers) {
    t.ok(answer.status >= 400 && answer.status < 500, answer.text)
    t.ok(answer.body.errors?.length > 0 || answer.body.detail.length > 0)
    for (const text of textsOf(answer)) t.notMatch(text, NOT_OURS, answer.text)
  }
  t.match(answers[3]?.body, {
    detail: 'The headers are not as expected: see "errors".',
    errors: [{ pointer: '/last-event-id' }],
  })
})
