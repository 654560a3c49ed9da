const text = { type: 'string' }
const count = { type: 'integer', minimum: 0 }

export const CODE = {
  type: 'object',
  required: ['code'],
  properties: {
    code: { type: 'string', pattern: '^\\d{4}(-\\d{4}){3}$' },
    expiry_minutes: count,
    max_uses: count,
    uses: count,
    generated_by_platform_user_id: text,
  },
}

export const ACTIVATION = {
  type: 'object',
  required: ['link_code_event_id'],
  properties: { link_code_event_id: text },
}

export const MERGE = {
  type: 'object',
  required: ['source_user_id', 'target_user_id'],
  properties: { source_user_id: text, target_user_id: text },
}
