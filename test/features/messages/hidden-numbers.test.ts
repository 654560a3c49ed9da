import t, { type Test } from 'tap'
import { connect, deliver } from '../../helpers/platforms/messenger.ts'
import { eventsOf, sendThrough } from '../../helpers/platforms/messages.ts'
import { mergedInto } from '../../helpers/platforms/people.ts'
import { startWhatsApp, whatsappValue, whatsappWebhook } from '../../helpers/platforms/whatsapp.ts'
import { startService, type Answer } from '../../helpers/service.ts'

const NUMBER = '16315551181'
const USER_ID = 'US.13491208655302741918'

/** By which ids WhatsApp tells who wrote. */
interface Sender {
  number?: string | undefined
  userId?: string | undefined
  /** Left out of the message: only `contacts` tells. */
  onlyInContacts?: boolean
}

async function setUp(t: Test, { worker = false } = {}) {
  const messenger = await startWhatsApp(t)
  const service = await startService(t, { worker })
  const client = await service.client()
  const connection = await connect(client, messenger)
  let count = 0
  /** A person writes. @returns the platform user that the message was sent by */
  async function write({ number, userId, onlyInContacts = false }: Sender): Promise<string> {
    const id = `wamid.${++count}`
    const ids = onlyInContacts
      ? {}
      : {
          ...(number !== undefined && { from: number }),
          ...(userId !== undefined && { from_user_id: userId }),
        }
    const webhook = whatsappWebhook(
      whatsappValue({
        contacts: [
          {
            profile: { name: 'Kerry', username: '@kerry' },
            ...(number !== undefined && { wa_id: number }),
            ...(userId !== undefined && { user_id: userId }),
          },
        ],
        messages: [{ ...ids, id, timestamp: '1748956200', type: 'text', text: { body: 'hi' } }],
      }),
    )
    const answer = await deliver(service, connection, messenger, webhook)
    t.equal(answer.status, 200, answer.text)
    const events = await eventsOf(client, 'message.inbound')
    const event = events.find(({ payload }) => payload.external_message_id === id)
    return event.edges.find(({ type }: { type: string }) => type === 'sent_by').targetId
  }
  const person = async (id: string): Promise<Answer['body']> =>
    (await client.get(`/platform-users/${id}`)).body
  const found = async (externalId: string): Promise<string[]> =>
    (await client.get(`/platform-users?externalId=${externalId}`)).body.data.map(
      ({ id }: { id: string }) => id,
    )
  return { messenger, service, client, connection, write, person, found }
}

t.test('who hides the number is known by the user id', async (t) => {
  const { write, person } = await setUp(t)
  const id = await write({ userId: USER_ID })
  t.match(await person(id), { externalId: USER_ID, otherExternalId: null, name: 'Kerry' })
  t.equal(await write({ userId: USER_ID }), id)
  t.equal(await write({ userId: USER_ID, onlyInContacts: true }), id, 'also where only the contacts tell it')
})

t.test('who was met with both ids is known by either', async (t) => {
  const { client, write, person, found } = await setUp(t)
  const id = await write({ number: NUMBER, userId: USER_ID })
  t.match(await person(id), { externalId: NUMBER, otherExternalId: USER_ID })
  t.equal(await write({ userId: USER_ID }), id)
  t.equal(await write({ number: NUMBER }), id)
  t.equal(await write({ number: NUMBER, userId: USER_ID, onlyInContacts: true }), id)
  t.strictSame([await found(NUMBER), await found(USER_ID)], [[id], [id]])
  t.equal((await client.get('/users')).body.data.length, 2, 'they and our own side')
})

for (const [first, firstly] of [
  ['number', { number: NUMBER }],
  ['user id', { userId: USER_ID }],
] as const) {
  t.test(`who was met by the ${first} alone gets the other id when both come`, async (t) => {
    const { client, write, person } = await setUp(t)
    const id = await write(firstly)
    t.equal(await write({ number: NUMBER, userId: USER_ID }), id)
    t.match(await person(id), { externalId: NUMBER, otherExternalId: USER_ID })
    t.equal(await write({ userId: USER_ID }), id)
    t.equal(await write({ number: NUMBER }), id)
    t.strictSame(await eventsOf(client, 'user.merged'), [], 'nobody else was there')
  })
}

t.test('two who were met under one id each become one user when both come', async (t) => {
  const { client, write, person } = await setUp(t)
  const byUserId = await write({ userId: USER_ID })
  const byNumber = await write({ number: NUMBER })
  t.not(byUserId, byNumber)
  const [source, target] = [(await person(byUserId)).userId, (await person(byNumber)).userId]
  const both = await Promise.all(Array.from({ length: 8 }, () => write({ number: NUMBER, userId: USER_ID })))
  t.strictSame([...new Set(both)], [byNumber])
  t.equal(await write({ userId: USER_ID }), byNumber, 'either id leads to the same platform user')
  t.equal(await write({ number: NUMBER }), byNumber)
  t.match(await eventsOf(client, 'user.merged'), [
    { payload: { source_user_id: source, target_user_id: target }, originEventId: null, schemaValid: true },
  ])
  t.equal((await person(byUserId)).userId, target)
  t.equal(await mergedInto(client, source), target)
  const theirs = await client.get(`/events?type=message.inbound&edge=sent_by:user:${target}&limit=100`)
  t.equal(theirs.body.data.length, 12, 'all that was written under either id')
})

t.test('a number that gets another owner makes no two people one', async (t) => {
  const { client, write, person } = await setUp(t)
  const ada = await write({ number: NUMBER, userId: USER_ID })
  const bob = await write({ userId: 'US.2' })
  t.equal(await write({ number: NUMBER, userId: 'US.2' }), ada, 'a number is one platform user')
  t.match(await person(ada), { externalId: NUMBER, otherExternalId: 'US.2' })
  t.not((await person(bob)).userId, (await person(ada)).userId)
  t.strictSame(await eventsOf(client, 'user.merged'), [])
})

t.test('at once, many messages with one id, the other or both make one user', async (t) => {
  const { client, write } = await setUp(t)
  const senders: Sender[] = [{ userId: USER_ID }, { number: NUMBER }, { number: NUMBER, userId: USER_ID }]
  await Promise.all([...senders, ...senders, ...senders].map(write))
  await write({ number: NUMBER, userId: USER_ID })
  const users = (await client.get('/users')).body.data
  const people = users.filter(
    (user: { isSystem: boolean; mergedInto: string | null }) => !user.isSystem && user.mergedInto === null,
  )
  t.equal(people.length, 1)
})

t.test('another platform user may not be made under an id that somebody has', async (t) => {
  const { client, connection, write } = await setUp(t)
  await write({ number: NUMBER, userId: USER_ID })
  for (const externalId of [NUMBER, USER_ID]) {
    const answer = await client.post('/platform-users', { platformConnectionId: connection.id, externalId })
    t.equal(answer.status, 409, externalId)
  }
})

t.test('who is known by the user id alone is sent to by it', async (t) => {
  const { messenger, client, connection, write } = await setUp(t, { worker: true })
  const id = await write({ userId: USER_ID })
  await sendThrough(client, connection, { ...messenger, somebody: USER_ID })
  const [request] = messenger.server.requests
  t.match(JSON.parse(request?.text ?? ''), { recipient: USER_ID, to: undefined })
  t.strictSame(
    messenger.taken.map(({ to }) => to),
    [USER_ID],
  )
  await write({ number: NUMBER, userId: USER_ID })
  const answer = await client.post('/messages', {
    platformConnectionId: connection.id,
    toPlatformUserId: id,
    message: 'again',
  })
  t.equal(answer.status, 201)
  await messenger.server.waitFor(2)
  t.equal(messenger.taken[1]?.to, NUMBER, 'by the number once it is known')
})
