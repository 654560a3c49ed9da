import t from 'tap'
import { WebSocketRooms, WebSocketTopics } from '../../src/platform/rooms/names.ts'
import { openSocket } from '../helpers/rooms.ts'
import { startService } from '../helpers/service.ts'

// Each test is a section of the document; docs/conformance.md leads from its statements to here.

const SUBMITTED = {
  type: '200_SALES',
  firstName: 'Ada',
  lastName: null,
  email: 'ada@example.com',
  businessName: null,
  subject: null,
}

t.test('WebSocket Emissions: an inquiry is told in its two rooms, without any worker or queue', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const topic = WebSocketTopics.build({ paths: ['observation', 'outreach', 'inquiry', 'submitted'] })
  t.equal(topic, 'observation/outreach/inquiry/submitted')
  const admins = WebSocketRooms.build({ paths: ['outreach', 'inquiries'] })
  t.equal(admins, 'outreach/inquiries')

  const observer = await openSocket(t, service.url, client)
  const { position } = await observer.join(admins)
  const { status, body: inquiry } = await client.post('/inquiries/submit', { ...SUBMITTED, message: 'Hi' })
  t.equal(status, 201)
  const room = WebSocketRooms.build({ paths: ['outreach', 'inquiries', inquiry.id] })
  await observer.join(room, { after: position })
  for (const name of [admins, room]) {
    const message = await observer.waitFor((frame) => frame.type === 'message' && frame.room === name, name)
    t.equal(message.topic, topic)

    t.test(`Payload Schemas: InquirySubmittedMessage and nothing else, in ${name}`, async (t) => {
      const names = ['id', 'type', 'firstName', 'lastName', 'email', 'businessName', 'subject', 'createdAt']
      t.strictSame(Object.keys(message.data), names)
      const { id, createdAt } = inquiry
      t.strictSame(message.data, { ...SUBMITTED, id, createdAt })
      t.match(id, /^\d{17,19}$/, 'a Snowflake')
      t.equal(new Date(createdAt).toISOString(), createdAt, 'an ISO timestamp')
    })
  }

  t.test('Recovery: who missed it reads it by REST', async (t) => {
    const { body } = await client.get('/inquiries')
    t.strictSame(body.data, [inquiry])
    t.strictSame((await client.get(`/inquiries/${inquiry.id}`)).body, inquiry)
  })
})
