import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { putDelivery, statusOf, type DeliveryState } from '../../helpers/deliveries.ts'
import { readPages, type ListedEvent } from '../../helpers/pages.ts'
import { createImporter, startService, type Client, type Service } from '../../helpers/service.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
interface Edge {
  type: string
  targetType: string
  targetId: string
}
interface Known extends ListedEvent {
  edges: Edge[]
}

const TYPES = ['order', 'order.placed', 'order.shipped', 'orders', 'a.b', 'message.inbound']
const EDGE_TYPES = ['sent_by', 'sent_to']
const COUNT = 120
/** The first events, which the others may be children of. */
const ORIGINS = 5

const scalar = fc.constantFrom<Json>(null, true, false, 0, 1, 1.5, '', 'x', '1')
const key = fc.constantFrom('a', 'b', 'ü')
const small: fc.Arbitrary<Json> = fc.oneof(
  { weight: 3, arbitrary: scalar },
  fc.array(scalar, { maxLength: 2 }),
  fc.dictionary(key, scalar, { maxKeys: 2 }),
)
const payload = fc.dictionary(key, fc.oneof(small, fc.array(small, { maxLength: 3 })), { maxKeys: 3 })
const state: fc.Arbitrary<DeliveryState> = fc.record({
  status: fc.constantFrom('pending', 'succeeded', 'dead', 'cancelled'),
  attempts: fc.integer({ min: 0, max: 2 }),
})

const seldom = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

/** What `@>` of jsonb means: each part of one is somewhere in the same place of the other. */
function contains(whole: Json, part: Json): boolean {
  if (Array.isArray(part))
    return Array.isArray(whole) && part.every((item) => whole.some((each) => contains(each, item)))
  if (typeof part === 'object' && part !== null) {
    if (typeof whole !== 'object' || whole === null || Array.isArray(whole)) return false
    return Object.entries(part).every(
      ([name, value]) => name in whole && contains(whole[name] as Json, value),
    )
  }
  return whole === part
}

/** Users 0 and 1 turned out to be user 2; user 3 is somebody else. */
async function createUsers(service: Service, client: Client): Promise<string[]> {
  const ids: string[] = []
  for (let number = 0; number < 4; number++) ids.push((await client.post('/users', { name: 'Ada' })).body.id)
  await service.platform.pool.query('update users set merged_into = $3 where app_id = $1 and id = any($2)', [
    client.appId,
    ids.slice(0, 2),
    ids[2],
  ])
  return ids
}

/** Random events, the later ones children of earlier ones. */
async function appendRandom(client: Client, users: string[]): Promise<Known[]> {
  const target = fc.oneof(
    fc.record({ targetType: fc.constant('user'), targetId: fc.constantFrom(...users) }),
    fc.record({ targetType: fc.constantFrom('file', 'room'), targetId: fc.constantFrom('1', '2') }),
  )
  const edge = fc
    .tuple(fc.constantFrom(...EDGE_TYPES), target)
    .map(([type, { targetType, targetId }]) => ({ type, targetType, targetId }))
  const event = fc.record({
    type: fc.constantFrom(...TYPES),
    payload,
    edges: fc.array(edge, { maxLength: 3 }),
  })
  const random = fc.sample(fc.tuple(event, fc.option(fc.nat(ORIGINS - 1), { freq: 2 })), {
    numRuns: COUNT,
    seed: 7,
  })
  const append = async (events: object[]): Promise<Known[]> => {
    const { status, body, text } = await client.post('/events/batch', { events })
    assert.equal(status, 201, text)
    return body.data
  }
  const origins = await append(random.slice(0, ORIGINS).map(([first]) => first))
  const children = random
    .slice(ORIGINS)
    .map(([each, origin]) =>
      Object.assign(each, origin === null ? {} : { originEventId: origins[origin]?.id }),
    )
  return [...origins, ...(await append(children))]
}

t.test('all pages of any filter are what the filter is in memory', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await createImporter(service.url)
  const users = await createUsers(service, client)
  const log = await appendRandom(client, users)

  const deliveries = fc.sample(fc.array(state, { maxLength: 3 }), { numRuns: COUNT, seed: 8 })
  await Promise.all(
    log.map(async (event, index) => {
      const own = deliveries[index] ?? []
      for (const delivery of own) await putDelivery(service.platform.pool, client.appId, event, delivery)
      event.status = statusOf(own)
    }),
  )

  /** Whoever a user is known as. */
  const same = (user: string): string[] => (users.slice(0, 3).includes(user) ? users.slice(0, 3) : [user])
  const partOf = (event: Known) =>
    fc
      .subarray(Object.entries(event.payload as Record<string, Json>))
      .map((members) => Object.fromEntries(members))
  const filter = fc.record({
    type: seldom(fc.uniqueArray(fc.constantFrom(...TYPES, 'never.seen'), { minLength: 1, maxLength: 4 })),
    typePrefix: seldom(fc.constantFrom('order', 'order.', 'a')),
    status: seldom(fc.constantFrom('pending', 'processing', 'completed', 'failed')),
    edge: seldom(
      fc.record({
        type: fc.constantFrom('*', ...EDGE_TYPES),
        targetType: fc.constantFrom('user', 'file', 'room'),
        targetId: fc.constantFrom('1', '2', '3', ...users, ...users),
      }),
    ),
    origin: seldom(fc.nat(ORIGINS)),
    payload: seldom(fc.oneof(payload, fc.constantFrom(...log).chain(partOf))),
    from: seldom(fc.nat(COUNT - 1)),
    to: seldom(fc.nat(COUNT - 1)),
  })
  const paging = fc.record({ limit: fc.integer({ min: 1, max: 7 }), order: fc.constantFrom('asc', 'desc') })

  let found = 0
  await fc.assert(
    fc.asyncProperty(filter, paging, async (wanted, { limit, order }) => {
      const { type, typePrefix, status, edge, origin, from, to } = wanted
      const query = new URLSearchParams({ limit: String(limit), order })
      for (const name of type ?? []) query.append('type', name)
      if (typePrefix !== undefined) query.set('typePrefix', typePrefix)
      if (status !== undefined) query.set('status', status)
      if (edge) query.set('edge', `${edge.type}:${edge.targetType}:${edge.targetId}`)
      const originId = origin === undefined ? undefined : (log[origin] as Known).id
      if (originId !== undefined) query.set('originEventId', originId)
      if (wanted.payload) query.set('payload', JSON.stringify(wanted.payload))
      const time = (index: number) => (log[index] as Known & { createdAt: string }).createdAt
      if (from !== undefined) query.set('createdAtGte', time(from))
      if (to !== undefined) query.set('createdAtLte', time(to))

      const targets = edge?.targetType === 'user' ? same(edge.targetId) : [edge?.targetId]
      const expected = log.filter(
        (event, index) =>
          (type === undefined || type.includes(event.type)) &&
          (typePrefix === undefined || event.type.startsWith(typePrefix)) &&
          (status === undefined || event.status === status) &&
          (edge === undefined ||
            event.edges.some(
              (own) =>
                (edge.type === '*' || own.type === edge.type) &&
                own.targetType === edge.targetType &&
                targets.includes(own.targetId),
            )) &&
          (originId === undefined || event.originEventId === originId) &&
          (wanted.payload === undefined || contains(event.payload, wanted.payload)) &&
          (from === undefined || time(index) >= time(from)) &&
          (to === undefined || time(index) <= time(to)),
      )
      if (order === 'desc') expected.reverse()
      const { rows, sizes } = await readPages<Known>(client, `/events?${query.toString()}`)
      assert.deepEqual(
        rows.map(({ position, status: own }) => ({ position, status: own })),
        expected.map(({ position, status: own }) => ({ position, status: own })),
      )
      assert.ok(
        sizes.slice(0, -1).every((size) => size === limit),
        'every page but the last is full',
      )
      if (rows.length > 0) found++
    }),
    { numRuns: 150 },
  )
  t.ok(found > 50, `${found} filters took something`)
})
