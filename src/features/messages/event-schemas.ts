import { MESSAGE_KINDS, MESSAGE_PARTS } from './message-content.ts'

const moment = { type: ['string', 'null'], format: 'date-time' }
const text = { type: 'string' }

const messageOf = (more: object) => ({
  type: 'object',
  required: ['type', 'message', 'platform'],
  properties: {
    type: { const: 'message' },
    message: { type: 'object', required: ['text', 'role'], properties: { text, role: text, ...more } },
    platform: text,
    external_message_id: { type: ['string', 'null'] },
    created_at: moment,
    sent_at: moment,
    delivered_at: moment,
    read_at: moment,
    failed_at: moment,
    platform_connection_id: text,
    attachments: {
      type: 'array',
      items: {
        type: 'object',
        required: ['file_id', 'name'],
        properties: {
          file_id: text,
          name: text,
          mime_type: { type: ['string', 'null'] },
          size_bytes: { type: ['integer', 'null'], minimum: 0 },
        },
      },
    },
  },
})

export const OUTBOUND = messageOf({})
export const INBOUND = messageOf({ kind: { enum: MESSAGE_KINDS }, ...MESSAGE_PARTS })

/** What became of a message. */
export const REPORT = {
  type: 'object',
  required: ['status'],
  properties: {
    status: { enum: ['delivered', 'read', 'failed'] },
    external_message_id: { type: ['string', 'null'] },
    delivered_at: moment,
    read_at: moment,
    failed_at: moment,
  },
}

/** What a platform sent and nothing else was made of. */
export const SKIPPED = {
  type: 'object',
  required: ['platform', 'platform_connection_id', 'reason', 'item'],
  properties: { platform: text, platform_connection_id: text, reason: text },
}
