import t from 'tap'
import { positionsOf, readPages } from '../../helpers/pages.ts'
import { expectProblem } from '../../helpers/problems.ts'
import { startService } from '../../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'

t.test('the children of an event', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: origin } = await client.post('/events', { type: 'order.placed', payload: {} })
  const path = `/events/${origin.id}/children`
  t.strictSame((await client.get(path)).body, { data: [], pageInfo: { hasNextPage: false, endCursor: null } })

  const { body: first } = await client.post('/events/batch', {
    events: Array.from({ length: 12 }, (_, number) => ({
      type: 'order.changed',
      payload: { number },
      // One in three is no child.
      ...(number % 3 !== 2 && { originEventId: number % 2 === 0 ? origin.id : origin.id.toUpperCase() }),
    })),
  })
  const children = first.data.filter(
    (event: { originEventId: string | null }) => event.originEventId !== null,
  )
  const { body: grandchild } = await client.post('/events', {
    type: 'order.changed',
    payload: {},
    originEventId: children[0].id,
  })

  t.test('oldest first unless told, whole events', async (t) => {
    t.strictSame((await client.get(path)).body.data, children)
    t.strictSame((await client.get(`${path}?order=asc`)).body.data, children)
    t.strictSame((await client.get(`${path}?order=desc`)).body.data, children.toReversed())
    t.strictSame((await client.get(path.replace(origin.id, origin.id.toUpperCase()))).body.data, children)
    t.ok(
      children.every((event: { originEventId: string }) => event.originEventId === origin.id),
      'in lower case',
    )
  })

  t.test('pages of any size', async (t) => {
    for (let limit = 1; limit <= 9; limit++) {
      for (const order of ['asc', 'desc']) {
        const { rows, sizes } = await readPages(client, `${path}?limit=${limit}&order=${order}`)
        t.strictSame(rows, order === 'asc' ? children : children.toReversed(), `${limit} ${order}`)
        t.equal(sizes.length, Math.ceil(children.length / limit), 'no page too many')
      }
    }
    t.equal((await client.get(`${path}?first=3`)).body.data.length, 3)
  })

  t.test('a child has children of its own', async (t) => {
    t.strictSame((await client.get(`/events/${children[0].id}/children`)).body.data, [grandchild])
  })

  t.test('those that are appended meanwhile follow', async (t) => {
    const { body: parent } = await client.post('/events', { type: 'a.b', payload: {} })
    const wanted: number[] = []
    const append = async (): Promise<void> => {
      const { body } = await client.post('/events', { type: 'a.b', payload: {}, originEventId: parent.id })
      wanted.push(body.position)
    }
    for (let number = 0; number < 6; number++) await append()
    let more = 5
    const { rows } = await readPages(client, `/events/${parent.id}/children?limit=2`, async () => {
      if (more-- > 0) await append()
    })
    t.strictSame(
      rows.map(({ position }) => position),
      wanted,
    )
    t.ok(wanted.length > 6, 'some were appended')
  })

  t.test('what cannot be listed', async (t) => {
    const other = await service.client()
    const unknown = { status: 404, type: 'not-found' }
    expectProblem(t, await client.get(`/events/${UNKNOWN_ID}/children`), unknown, 'an unknown event')
    expectProblem(t, await other.get(path), unknown, 'the event of another app')
    for (const id of ['x', '*', UNKNOWN_ID.replaceAll('-', ''), `%7B${UNKNOWN_ID}%7D`])
      expectProblem(
        t,
        await client.get(`/events/${id}/children`),
        { status: 400, type: 'validation-failed' },
        id,
      )
    for (const query of [
      'limit=0',
      'order=up',
      'type=a.b',
      'payload=%7B%7D',
      'include=all',
      'originEventId=x',
    ])
      expectProblem(
        t,
        await client.get(`${path}?${query}`),
        { status: 400, type: 'validation-failed' },
        query,
      )
    expectProblem(t, await client.get(`${path}?after=x`), { status: 400, type: 'invalid-cursor' }, 'a cursor')
    t.strictSame(await positionsOf(other, `/events?originEventId=${origin.id}`), [])
  })

  t.test('an origin in another app is none', async (t) => {
    const other = await service.client()
    const answer = await other.post('/events', { type: 'a.b', payload: {}, originEventId: origin.id })
    expectProblem(
      t,
      answer,
      { status: 422, type: 'unknown-origin', pointers: ['/originEventId'] },
      'of another app',
    )
    t.strictSame(await positionsOf(other, '/events'), [])
  })
})
