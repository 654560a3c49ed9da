import fc from 'fast-check'
import t from 'tap'
import type { RoomMessage } from '../../../src/features/observation/contracts.ts'
import { isRoom } from '../../../src/platform/rooms/names.ts'
import { createPublishLimit } from '../../../src/features/observation/publishing/publish-limits.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { ADMIN_KEY, BACKENDS, call, startService, type Service } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

const invalid = (...pointers: string[]) => ({ status: 400, type: 'validation-failed', pointers })

function watch({ features }: Service): RoomMessage[] {
  const seen: RoomMessage[] = []
  features.observation.emitter.onMessage((message) => seen.push(message))
  return seen
}

for (const backend of BACKENDS) {
  t.test(`publishing and presence over HTTP, ${backend}`, async (t) => {
    const one = await startService(t, { backend, worker: false })
    const other = await startService(t, {
      worker: false,
      databaseUrl: one.databaseUrl,
      ...(one.redisUrl !== undefined && { redisUrl: one.redisUrl }),
    })
    const client = await one.client()
    const stranger = await one.client()
    const seen = watch(other)
    const publish = (body: unknown) => client.post('/observation/publish', body)
    const data = '{"n": 12345678901234567890, "b":1, "a": [ ]}'
    const withData = (text: string) => `{"topic":"chat/typing","data":${text},"rooms":["chat/42","lobby"]}`
    await until(async () => {
      await publish(withData('"warm-up"'))
      return seen.length > 0
    }, 'the other process hears it')

    t.test('a message reaches the rooms in every process, as it was sent', async (t) => {
      const own = watch(one)
      const answer = await publish(withData(` ${data} `))
      t.equal(answer.status, 202)
      t.equal(answer.text, '{}')
      for (const list of [own, seen]) {
        await until(() => list.at(-1)?.data === data, 'it is seen')
        t.strictSame(
          list.slice(-2),
          ['chat/42', 'lobby'].map((room) => ({ appId: client.appId, room, topic: 'chat/typing', data })),
        )
      }
      for (const value of ['null', 'false', '0', '""', '[]', '{}']) {
        t.equal((await publish(withData(value))).status, 202, value)
        await until(() => seen.at(-1)?.data === value, `${value} is seen`)
      }
    })

    t.test('what cannot be published', async (t) => {
      const good = { rooms: ['r'], topic: 't', data: 1 }
      const rooms = (...names: unknown[]) => ({ ...good, rooms: names })
      const many = Array.from({ length: 101 }, (_, index) => `r${index}`)
      for (const [body, expected] of [
        [rooms(), invalid('/rooms')],
        [rooms(...many), invalid('/rooms')],
        [rooms('a', 'b c', 'c', '*'), invalid('/rooms/1', '/rooms/3')],
        [rooms('a', 1), invalid('/rooms/1')],
        [rooms('r'.repeat(256)), invalid('/rooms/0')],
        [{ ...good, topic: '/t' }, invalid('/topic')],
        [{ ...good, topic: '' }, invalid('/topic')],
        [{ rooms: ['r'], topic: 't' }, invalid('/data')],
        [{ ...good, extra: 1 }, invalid('/extra')],
        [
          { ...good, data: 'x'.repeat(16_383) },
          { status: 413, type: 'payload-too-large', pointers: ['/data'] },
        ],
        [
          { ...good, data: 'x'.repeat(200_000) },
          { status: 413, type: 'payload-too-large' },
        ],
      ] as [unknown, ReturnType<typeof invalid>][]) {
        expectProblem(t, await publish(body), expected, JSON.stringify(body).slice(0, 80))
      }
      const largest = { ...good, rooms: many.slice(1).map((name) => `${'s'.repeat(120)}/${name}`) }
      t.equal((await publish({ ...largest, data: 'x'.repeat(16_382) })).status, 202, 'the largest')
      t.equal((await publish({ ...good, data: '€'.repeat(5_460) })).status, 202)
      const tooLarge = await publish({ ...good, data: '€'.repeat(5_461) })
      expectProblem(t, tooLarge, { status: 413, type: 'payload-too-large' }, 'bytes count')
    })

    t.test('who may', async (t) => {
      const keyWith = async (...scopes: string[]): Promise<string> => {
        const body = { name: 'k', scopes }
        const path = `/apps/${client.appId}/api-keys`
        return (await call(one.url, 'POST', path, { key: ADMIN_KEY, body })).body.apiKey
      }
      const reader = await keyWith('observation:read')
      const publisher = await keyWith('observation:publish')
      const body = { rooms: ['r'], topic: 't', data: 1 }
      const post = (key: string) => call(one.url, 'POST', '/observation/publish', { key, body })
      const list = (key: string) => call(one.url, 'GET', '/observation/presence?room=r', { key })
      const forbidden = { status: 403, type: 'forbidden' }
      expectProblem(t, await post(reader), forbidden, 'a reader publishes')
      expectProblem(t, await list(publisher), forbidden, 'a publisher reads')
      t.equal((await post(publisher)).status, 202)
      t.equal((await list(reader)).status, 200)
    })

    t.test('who is in a room', async (t) => {
      const path = '/observation/presence?room=chat/42'
      const list = async (service: Service, { key }: { key: string }) =>
        (await call(service.url, 'GET', path, { key })).text
      t.equal(await list(one, client), '{"data":[]}')
      const connection = crypto.randomUUID()
      const ada = { id: 'a"da', info: '{"n": 12345678901234567890}' }
      one.features.observation.presence.enter(client.appId, 'chat/42', connection, ada)
      other.features.observation.presence.enter(client.appId, 'chat/42', connection, {
        id: 'bob',
        info: null,
      })
      const expected =
        '{"data":[{"id":"a\\"da","info":{"n": 12345678901234567890}},{"id":"bob","info":null}]}'
      for (const service of [one, other])
        await until(async () => (await list(service, client)) === expected, 'both are listed')
      t.equal(await list(one, stranger), '{"data":[]}', 'another app sees nothing of it')
      t.equal((await client.get('/observation/presence?room=chat')).text, '{"data":[]}')
      await other.close()
      await until(async () => !(await list(one, client)).includes('bob'), 'he left with his process')
      for (const query of [
        '',
        '?room=',
        '?room=a%20b',
        '?room=*',
        '?room=a&room=b',
        `?room=${'r'.repeat(256)}`,
      ])
        expectProblem(t, await client.get(`/observation/presence${query}`), invalid('/room'), query)
      expectProblem(t, await client.get(`${path}&limit=1`), invalid('/limit'), 'there are no pages')
    })
  })
}

t.test('a connection publishes 20 times a second, with bursts of 40', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.record({ wait: fc.nat(300), takes: fc.nat(20) })), (steps) => {
      let now = 1_000
      const limit = createPublishLimit(() => now)
      const taken: number[] = []
      for (const { wait, takes } of steps) {
        now += wait
        for (let index = 0; index < takes; index++) {
          if (limit.take()) taken.push(now)
          // One that is refused would have been one too many.
          else if (!taken.some((from, at) => taken.length - at >= 40 - 1 + ((now - from) * 20) / 1_000))
            return false
        }
      }
      return taken.every((from, first) =>
        taken.every((to, last) => last < first || last - first + 1 <= 40 + ((to - from) * 20) / 1_000 + 1e-6),
      )
    }),
  )
  let now = 0
  const limit = createPublishLimit(() => now)
  t.equal(Array.from({ length: 50 }, () => limit.take()).filter(Boolean).length, 40)
  now += 100
  t.strictSame([limit.take(), limit.take(), limit.take()], [true, true, false])
  now += 3_600_000
  t.equal(Array.from({ length: 50 }, () => limit.take()).filter(Boolean).length, 40)
})

t.test('names of rooms', async (t) => {
  for (const name of [
    'a',
    'A-Z/a.b:c@d~e_f/0',
    '1/2/3/4/5/6/7/8',
    'x'.repeat(128),
    `${'x'.repeat(126)}/`.repeat(2) + 'y',
  ])
    t.ok(isRoom(name), name)
  for (const name of [
    '',
    '/',
    'a/',
    '/a',
    'a//b',
    'a b',
    'ä',
    '*',
    'a\n',
    '1/2/3/4/5/6/7/8/9',
    'x'.repeat(129),
    `${'x'.repeat(127)}/`.repeat(2),
  ])
    t.notOk(isRoom(name), name)
})
