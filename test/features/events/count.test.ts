import t from 'tap'
import { Problem } from '../../../src/platform/http/problems.ts'
import { putDelivery } from '../../helpers/deliveries.ts'
import { startService } from '../../helpers/service.ts'

/** Events are counted up to here. */
const MOST = 10_000

t.test('how many events a filter takes', async (t) => {
  const service = await startService(t, { worker: false })
  const { pool } = service.platform
  const { eventReader } = service.features.events
  const client = await service.client()
  t.equal(await eventReader.count(client.appId, {}), 0, 'an empty log')
  const { body } = await client.post('/events/batch', {
    events: Array.from({ length: 30 }, (_, n) => ({
      type: n % 3 === 0 ? 'order.placed' : 'order.shipped',
      payload: { tenth: n % 10 },
      edges: n % 2 === 0 ? [{ type: 'about', targetType: 'room', targetId: '1' }] : [],
    })),
  })
  await putDelivery(pool, client.appId, body.data[0], { status: 'dead', attempts: 3 })
  await putDelivery(pool, client.appId, body.data[1], { status: 'pending', attempts: 0 })
  await putDelivery(pool, client.appId, body.data[1], { status: 'pending', attempts: 0 })
  const { body: child } = await client.post('/events', {
    type: 'a.b',
    payload: {},
    originEventId: body.data[0].id,
  })

  const count = (filter: Parameters<typeof eventReader.count>[1]) => eventReader.count(client.appId, filter)
  t.equal(await count({}), 31)
  t.equal(await count({ type: ['order.placed'] }), 10)
  t.equal(await count({ type: ['order.placed', 'a.b', 'never.seen'] }), 11)
  t.equal(await count({ typePrefix: 'order.' }), 30)
  t.equal(await count({ typePrefix: 'never' }), 0)
  t.equal(await count({ edge: 'about:room:1' }), 15)
  t.equal(await count({ edge: '*:room:2' }), 0)
  t.equal(await count({ payload: '{"tenth":7}' }), 3)
  t.equal(await count({ status: 'failed' }), 1)
  t.equal(await count({ status: 'pending' }), 1, 'one event with two deliveries')
  t.equal(await count({ status: 'completed' }), 29)
  t.equal(await count({ originEventId: body.data[0].id }), 1)
  t.equal(await count({ createdAtGte: child.createdAt, type: ['a.b'] }), 1)
  t.equal(await count({ createdAtLte: '2020-01-01T00:00:00Z' }), 0)
  t.equal(
    await eventReader.count((await service.client()).appId, { typePrefix: 'order.' }),
    0,
    'of another app',
  )

  for (const payload of ['{"a":"\\u0000"}', '{"a":1e999999}', '{"a":"\\ud800"}']) {
    t.equal(await count({ payload }), 0, `${payload}, which is no jsonb`)
    await client.post('/events', `{"type":"a.b","payload":${payload}}`)
    t.equal(await count({ payload }), 1, `${payload}, once`)
  }

  t.test('a condition that is no object is a problem, not an error', async (t) => {
    for (const payload of ['x', '[]', '1e999999']) {
      const refused = await count({ payload }).catch((error: unknown) => error)
      t.ok(refused instanceof Problem && refused.status === 400, `${payload}: ${String(refused)}`)
    }
  })
})

t.test('what takes too long to count is not counted', async (t) => {
  const service = await startService(t, { worker: false })
  const { pool } = service.platform
  const { eventReader } = service.features.events
  const client = await service.client()
  const growTo = async (from: number, to: number): Promise<void> => {
    await pool.query(
      `insert into events (app_id, id, position, event_type_id, type, payload, edges, created_at)
       select $1, (left(first_id_at(now())::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, n, $1, 'type.' || n % 2,
              ('{"n":' || n || '}')::json, '[]', now()
         from generate_series($2::int, $3::int) n`,
      [client.appId, from, to],
    )
    await pool.query('update app_logs set head = $2 where app_id = $1', [client.appId, to])
  }
  const count = (filter: Parameters<typeof eventReader.count>[1]) => eventReader.count(client.appId, filter)
  const some = { type: ['type.0', 'type.1'] }
  await growTo(1, MOST - 1)
  t.equal(await count(some), MOST - 1)
  t.equal(await count({ payload: '{"n":1}' }), 1)
  await growTo(MOST, MOST + 1)
  t.equal(await count(some), undefined, 'more than that')
  t.equal(await count({ type: ['type.1'] }), MOST / 2 + 1)
  t.equal(await count({ payload: '{"n":1}' }), undefined, 'more would have to be looked at')
  t.equal(await count({ payload: '{}' }), undefined)
  t.equal(await count({}), MOST + 1, 'all of them are known anyway')
})
