import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { openRoomEvents, openSocket } from '../../helpers/rooms.ts'
import { startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

t.test('rooms as server-sent events', async (t) => {
  const service = await startService(t)
  const client = await service.client()
  const declared = { name: 'order.shipped', topic: 'orders/shipped' }
  const rooms = ['orders', 'orders/{payload.order_id}', 'warehouse']
  t.equal((await client.post('/event-types', { ...declared, rooms })).status, 201)
  const append = async (payload: object): Promise<number> =>
    (await client.post('/events', { type: 'order.shipped', payload })).body.position

  t.test('messages carry positions, and several rooms of one event part of one', async (t) => {
    const stream = await openRoomEvents(t, service.url, client.key, '?rooms=warehouse,orders,orders/7')
    const begun = JSON.parse(stream.events[0]?.data ?? '')
    t.match(begun, { rooms: ['warehouse', 'orders', 'orders/7'].map((room) => ({ room, recovered: true })) })
    const first = await append({ order_id: 7, text: 'two\nlines, \r\n and ü' })
    const second = await append({ order_id: 8 })
    await until(() => stream.messages().length >= 5, 'all of them came')
    t.strictSame(
      stream.messages().map(({ id, data }) => [id, data.room, data.position]),
      [
        [`${first}-1`, 'orders', first],
        [`${first}-2`, 'orders/7', first],
        [`${first}`, 'warehouse', first],
        [`${second}-1`, 'orders', second],
        [`${second}`, 'warehouse', second],
      ],
    )
    t.match(stream.messages()[0]?.data, {
      topic: 'orders/shipped',
      data: { order_id: 7, text: 'two\nlines, \r\n and ü' },
      event: { type: 'order.shipped' },
    })
    for (const [index, { id }] of stream.messages().entries()) {
      const resumed = await openRoomEvents(t, service.url, client.key, '?rooms=warehouse,orders,orders/7', id)
      const left = stream.messages().slice(index + 1)
      await until(() => resumed.messages().length >= left.length, `what follows ${id} came`)
      t.strictSame(resumed.messages(), left, `cut after ${id}, exactly what follows it comes`)
      resumed.drop()
    }
  })

  t.test('an empty Last-Event-ID is none', async (t) => {
    const position = await append({ order_id: 9 })
    const query = `?rooms=warehouse&after=${position - 1}`
    const stream = await openRoomEvents(t, service.url, client.key, query, '')
    await until(() => stream.messages().length > 0, 'it goes on from `after`')
    t.equal(stream.messages()[0]?.id, `${position}`)
  })

  t.test('ephemeral messages have no id, and presence is told where asked for', async (t) => {
    const stream = await openRoomEvents(t, service.url, client.key, '?rooms=chat/1,chat/2&presence=true')
    const publication = { rooms: ['chat/1', 'chat/3'], topic: 'chat/said', data: { text: 'hello' } }
    t.equal((await client.post('/observation/publish', publication)).status, 202)
    await until(() => stream.messages().length === 1, 'it came')
    t.strictSame(stream.messages()[0], {
      id: undefined,
      data: {
        room: 'chat/1',
        topic: 'chat/said',
        position: null,
        data: { text: 'hello' },
        ephemeral: true,
      },
    })
    const grant = { rooms: ['chat/*'], member: { id: 'ada' } }
    const { body } = await client.post('/observation/tokens', grant)
    const ada = await openSocket(t, service.url, { token: body.token })
    await ada.join('chat/2')
    const come = await stream.waitFor(({ event }) => event === 'presence', 'somebody came')
    t.strictSame(JSON.parse(come.data), {
      room: 'chat/2',
      change: 'join',
      member: { id: 'ada', info: null },
    })
  })

  t.test('a token in the URL is taken, a key is not', async (t) => {
    const { body } = await client.post('/observation/tokens', { rooms: ['orders'] })
    const { body: own } = await (await service.client()).post('/observation/tokens', { rooms: ['**'] })
    const get = (query: string) => fetch(`${service.url}/observation/sse?${query}`)
    for (const [query, status] of [
      [`rooms=orders&token=${client.key}`, 401],
      [`rooms=orders&key=${client.key}`, 401],
      [`rooms=orders`, 401],
      [`rooms=orders/7&token=${body.token}`, 403],
      [`rooms=a//b&token=${body.token}`, 400],
      [`rooms=&token=${body.token}`, 400],
      [`token=${body.token}`, 400],
      [`rooms=orders&after=x&token=${body.token}`, 400],
    ] as const) {
      const answer = await get(query)
      t.equal(answer.status, status, query.replaceAll(/token=.*/g, 'token=…'))
      t.match(answer.headers.get('content-type'), /problem\+json/)
      t.notMatch(await answer.text(), client.key, 'and the answer does not repeat it')
    }
    const abort = new AbortController()
    const taken = await fetch(`${service.url}/observation/sse?rooms=orders&token=${body.token}`, {
      signal: abort.signal,
    })
    t.match(taken.headers.get('content-type'), /text\/event-stream/)
    const foreign = await fetch(`${service.url}/observation/sse?rooms=orders&token=${own.token}`, {
      signal: abort.signal,
    })
    await append({ order_id: 'secret' })
    const reader = foreign.body?.getReader()
    const { value } = (await reader?.read()) ?? {}
    t.notMatch(Buffer.from(value ?? []).toString(), /secret/, 'another app sees nothing of it')
    abort.abort()
  })

  t.test('streams that end with the server say so and when to come back', async (t) => {
    const other = await startService(t, { databaseUrl: service.databaseUrl, worker: false })
    const streams = await Promise.all(
      Array.from({ length: 20 }, () => openRoomEvents(t, other.url, client.key, '?rooms=orders')),
    )
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openSocket(t, other.url, client)))
    const { hostname, port } = new URL(other.url)
    const unused = connect(Number(port), hostname)
    t.teardown(() => unused.destroy())
    await once(unused, 'connect')
    await other.close()
    await Promise.all(streams.map(({ ended }) => ended))
    const waits = streams.map(({ events }) => {
      const { event, data } = events.at(-1) ?? {}
      t.equal(event, 'closing')
      t.match(JSON.parse(data ?? ''), { code: 1012, reason: 'the server stops' })
      return JSON.parse(data ?? '').retryMs
    })
    for (const { closed, frames } of sockets) {
      t.match(await closed, { code: 1012 })
      t.match(frames.at(-1), { type: 'closing', code: 1012 })
      waits.push(frames.at(-1).retryMs)
    }
    t.ok(new Set(waits).size > 20, 'not all at once')
  })
})
