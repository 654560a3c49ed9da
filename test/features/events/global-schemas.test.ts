import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import t from 'tap'
import { createImporter, startService, type Client } from '../../helpers/service.ts'

interface Listed {
  id: string
  name: string
  jsonSchema: object | null
  schemaVersion: number
  enforceValidation: boolean
  isGlobal: boolean
}

const ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
const message = { text: 'hello', role: 'user' }
const MESSAGE = { type: 'message', message, platform: 'sms' }
const CODE = '1234-5678-9012-3456'

const MESSAGES = {
  good: [
    MESSAGE,
    {
      ...MESSAGE,
      external_message_id: 'wamid.1',
      created_at: '2026-01-01T00:00:00Z',
      sent_at: '2026-01-01T00:00:01.5+02:00',
      delivered_at: null,
      read_at: null,
      failed_at: null,
      more: { of: 'mine' },
    },
  ],
  bad: [
    {},
    { ...MESSAGE, type: 'note' },
    { ...MESSAGE, message: 'hello' },
    { ...MESSAGE, message: { text: 'hello' } },
    { ...MESSAGE, platform: 5 },
    { ...MESSAGE, sent_at: 'yesterday' },
    { ...MESSAGE, external_message_id: 5 },
  ],
}

/** Payloads of SPEC section 2 in their shortest and fullest form, and some that are wrong. */
const PAYLOADS: Record<string, { good: object[]; bad: object[] }> = {
  'message.outbound': MESSAGES,
  'message.inbound': {
    good: [
      ...MESSAGES.good,
      { ...MESSAGE, message: { ...message, kind: 'image' } },
      { ...MESSAGE, message: { ...message, kind: 'button', button: { id: null, title: 'Yes' } } },
    ],
    bad: [
      ...MESSAGES.bad,
      { ...MESSAGE, message: { ...message, kind: 'telepathy' } },
      { ...MESSAGE, message: { ...message, kind: 'reaction', reaction: { emoji: '👍' } } },
      {
        ...MESSAGE,
        message: { ...message, location: { latitude: 91, longitude: 0, name: null, address: null } },
      },
    ],
  },
  'system.platform.skipped': {
    good: [{ platform: 'slack', platform_connection_id: ID, reason: 'It is odd.', item: null }],
    bad: [{}, { platform: 'slack', platform_connection_id: ID, item: {} }],
  },
  'message.delivered': {
    good: [
      { status: 'delivered' },
      { status: 'delivered', delivered_at: '2026-01-01T00:00:00Z', external_message_id: null },
    ],
    bad: [{}, { status: 'sent' }, { status: 'delivered', delivered_at: 5 }],
  },
  'link_code.generated': {
    good: [
      { code: CODE },
      { code: CODE, expiry_minutes: 60, max_uses: 1, uses: 0, generated_by_platform_user_id: ID },
    ],
    bad: [
      {},
      { code: '1234' },
      { code: `${CODE}-7` },
      { code: CODE, uses: -1 },
      { code: CODE, max_uses: 1.5 },
    ],
  },
  'link_code.activation': { good: [{ link_code_event_id: ID }], bad: [{}, { link_code_event_id: 5 }] },
  'user.merged': {
    good: [{ source_user_id: ID, target_user_id: ID }],
    bad: [{}, { source_user_id: ID }, { source_user_id: ID, target_user_id: null }],
  },
}
const SAME_AS: Record<string, string> = {
  'message.read': 'message.delivered',
  'message.failed': 'message.delivered',
}

async function typesOf(client: Client): Promise<Listed[]> {
  const { body } = await client.get('/event-types?limit=100')
  return body.data
}

t.test('built-in types and their schemas', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const types = await typesOf(client)

  t.test('are listed, the same for every app', async (t) => {
    t.strictSame(await typesOf(await service.client()), types)
    const withSchema = types.filter(({ jsonSchema }) => jsonSchema !== null).map(({ name }) => name)
    t.strictSame(withSchema.toSorted(), [...Object.keys(PAYLOADS), ...Object.keys(SAME_AS)].toSorted())
    for (const type of types) {
      t.equal(type.isGlobal, true)
      t.equal(type.enforceValidation, false)
      t.equal(type.schemaVersion, type.jsonSchema === null ? 0 : 1, type.name)
      t.strictSame((await client.get(`/event-types/${type.id}`)).body, type)
    }
  })

  t.test('are schemas that any validator takes', async (t) => {
    const ajv = new Ajv2020({ strict: false })
    addFormats.default(ajv)
    for (const { name, jsonSchema } of types) {
      const { good, bad } = PAYLOADS[SAME_AS[name] ?? name] ?? { good: [], bad: [] }
      const validate = ajv.compile(jsonSchema ?? {})
      for (const payload of good) t.equal(validate(payload), true, `${name}: ${JSON.stringify(payload)}`)
      for (const payload of bad) t.equal(validate(payload), false, `${name}: ${JSON.stringify(payload)}`)
    }
  })

  t.test('flag payloads, and refuse none', async (t) => {
    const importer = await createImporter(service.url)
    for (const name of [...Object.keys(PAYLOADS), ...Object.keys(SAME_AS)]) {
      const { good, bad } = PAYLOADS[SAME_AS[name] ?? name] ?? { good: [], bad: [] }
      for (const [valid, payloads] of [
        [true, good],
        [false, bad],
      ] as const) {
        for (const payload of payloads) {
          const { status, body, text } = await importer.post('/events', { type: name, payload })
          t.equal(status, 201, text.slice(0, 200))
          t.match(
            body,
            { schemaValid: valid, schemaVersion: 1, payload },
            `${name}: ${JSON.stringify(payload)}`,
          )
          const { body: read } = await importer.get(`/events/${body.id}`)
          t.strictSame([read.schemaValid, read.schemaVersion], [valid, 1])
        }
      }
    }
    const { body } = await client.post('/events', { type: 'order.placed', payload: { any: 'thing' } })
    t.strictSame([body.schemaValid, body.schemaVersion], [null, null], 'a built-in type without a schema')
  })

  t.test('cannot be changed', async (t) => {
    const { id } = types.find(({ name }) => name === 'message.outbound') as Listed
    for (const change of [{ jsonSchema: null }, { enforceValidation: true }])
      t.equal((await client.patch(`/event-types/${id}`, change)).status, 409)
    t.equal((await client.delete(`/event-types/${id}`)).status, 409)
    t.equal((await client.post('/event-types', { name: 'message.outbound', jsonSchema: {} })).status, 409)
    t.strictSame(await typesOf(client), types)
  })
})
