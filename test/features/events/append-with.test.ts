import { sql } from 'kysely'
import t from 'tap'
import type { NewEvent } from '../../../src/features/events/index.ts'
import { newId } from '../../../src/platform/identifiers/ids.ts'
import { startService } from '../../helpers/service.ts'

const eventOf = (type: string, payload: object, more: Partial<NewEvent> = {}): NewEvent => ({
  type,
  payload: JSON.stringify(payload),
  payloadValue: payload,
  ...more,
})

const wanted = (problem: string) => ({ name: 'Problem', problem }) as object as Error

t.test('events that are appended with a change are treated as all others', async (t) => {
  const service = await startService(t, { worker: false })
  const { platform } = service
  const { appender } = service.features.events
  const { db } = platform
  await sql`create table notes (text text primary key)`.execute(db)
  const notes = async (): Promise<string[]> =>
    (await sql<{ text: string }>`select text from notes order by 1`.execute(db)).rows.map(({ text }) => text)
  const note = async (appId: string, text: string, ...events: NewEvent[]) =>
    appender.appendWith(appId, async (transaction) => {
      await sql`insert into notes values (${text})`.execute(transaction)
      return { events, result: text }
    })

  await t.test('an unknown type is registered', async (t) => {
    const client = await service.client()
    const { appId } = client
    const { events, result } = await note(
      appId,
      'registered',
      eventOf('note.made', {}),
      eventOf('note.kept', {}),
    )
    t.equal(result, 'registered')
    t.strictSame(
      events.map(({ event }) => [event.type, event.position]),
      [
        ['note.made', 1],
        ['note.kept', 2],
      ],
    )
    t.strictSame((await client.get('/events')).body.data.length, 2)
  })

  await t.test('what is wrong with an event undoes the change', async (t) => {
    const client = await service.client()
    const { appId } = client
    await client.post('/event-types', {
      name: 'note.strict',
      enforceValidation: true,
      jsonSchema: { type: 'object', required: ['n'] },
    })
    const wrong: [NewEvent, string][] = [
      [eventOf('system.note.made', {}), 'reserved-event-type'],
      [eventOf('note.strict', {}), 'schema-violation'],
      [eventOf('note.made', {}, { originEventId: newId() }), 'unknown-origin'],
    ]
    for (const [event, problem] of wrong)
      await t.rejects(note(appId, `not ${problem}`, event), wanted(problem))
    t.notOk((await notes()).some((text) => text.startsWith('not ')))
    t.strictSame((await client.get('/events')).body.data, [])
  })

  await t.test('one of them may be the origin of another', async (t) => {
    const { appId } = await service.client()
    const id = newId()
    const { events } = await note(
      appId,
      'origin',
      eventOf('note.made', {}, { id }),
      eventOf('note.kept', {}, { originEventId: id }),
    )
    t.strictSame(
      events.map(({ event }) => event.originEventId),
      [null, id],
    )
  })

  await t.test('a key is used once', async (t) => {
    const client = await service.client()
    const { appId } = client
    const keyed = eventOf('note.made', { n: 1 }, { externalId: 'N-1' })
    const first = await note(appId, 'first', keyed)
    const [id] = first.events.map(({ event }) => event.id)
    const second = await note(appId, 'second', keyed, eventOf('note.made', { n: 2 }))
    t.strictSame(
      second.events.map(({ event, state }) => [event.id === id, event.position, state?.status]),
      [
        [true, 1, undefined],
        [false, 2, 'completed'],
      ],
      'a repeat is what is there already',
    )
    await t.rejects(
      note(appId, 'third', eventOf('note.made', { n: 3 }, { externalId: 'N-1' })),
      wanted('idempotency-conflict'),
    )
    t.strictSame(
      (await notes()).filter((text) => /^(first|second|third)$/.test(text)),
      ['first', 'second'],
    )
    t.equal((await client.get('/events')).body.data.length, 2)
  })

  await t.test('of many at once, too', async (t) => {
    const client = await service.client()
    const { appId } = client
    const keyed = eventOf('note.made', { n: 1 }, { externalId: 'N-1' })
    const all = await Promise.all(Array.from({ length: 8 }, (_, n) => note(appId, `race ${n}`, keyed)))
    t.equal(new Set(all.map(({ events }) => events[0]?.event.id)).size, 1)
    t.equal(all.filter(({ events }) => events[0]?.state).length, 1, 'it is new once')
    t.equal((await notes()).filter((text) => text.startsWith('race')).length, 8, 'every change is made')
    t.equal((await client.get('/events')).body.data.length, 1)
  })

  await t.test('a conflict of the change itself is told', async (t) => {
    const client = await service.client()
    const { appId } = client
    await note(appId, 'once', eventOf('note.made', {}))
    await t.rejects(note(appId, 'once', eventOf('note.made', {})), { code: '23505' })
    t.equal((await client.get('/events')).body.data.length, 1)
  })
})

t.test('what was refused by a routing that is out of date is looked at again', async (t) => {
  const service = await startService(t, { worker: false })
  const other = await startService(t, { worker: false, databaseUrl: service.databaseUrl })
  const client = await service.client()
  const { appId } = client
  const { body: type } = await client.post('/event-types', {
    name: 'note.strict',
    enforceValidation: true,
    jsonSchema: { type: 'object', required: ['n'] },
  })
  const append = () =>
    service.features.events.appender.appendWith(appId, async () => ({
      events: [eventOf('note.strict', {})],
      result: undefined,
    }))
  await t.rejects(append(), wanted('schema-violation'))
  const changed = await fetch(`${other.url}/event-types/${type.id}`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ enforceValidation: false }),
  })
  t.equal(changed.status, 200)
  t.equal((await append()).events.length, 1)
})
