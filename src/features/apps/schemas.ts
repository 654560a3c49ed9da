import { Type } from '@sinclair/typebox'
import { SCOPES } from '../../platform/http/auth.ts'
import { Nullable, Text, Timestamp, Uuid } from '../../platform/http/schemas.ts'

const Scopes = Type.Array(Type.Union(SCOPES.map((scope) => Type.Literal(scope))), {
  minItems: 1,
  uniqueItems: true,
  description: 'What the key may be used for.',
  examples: [['events:write', 'events:read']],
})

export const App = Type.Object(
  { id: Uuid(), name: Type.String({ examples: ['shop'] }), createdAt: Timestamp() },
  { $id: 'App', description: 'A tenant: it owns keys, event types, events and subscriptions.' },
)

const ApiKeySecret = Type.String({
  description: 'Shown once: only its hash is kept.',
  examples: ['hg_5f2c9b7e01aa43d8_Xk3…'],
})

export const NewApp = Type.Object(
  { name: Text(200, { examples: ['shop'] }) },
  { additionalProperties: false },
)

export const CreatedApp = Type.Object(
  { ...App.properties, apiKey: ApiKeySecret },
  { $id: 'CreatedApp', description: 'The new app with its first key, which has every scope.' },
)

export const ApiKey = Type.Object(
  {
    id: Type.String({ examples: ['5f2c9b7e01aa43d8'] }),
    name: Type.String(),
    scopes: Type.Array(Type.String()),
    createdAt: Timestamp(),
    revokedAt: Nullable(Timestamp()),
  },
  { $id: 'ApiKey' },
)

export const NewApiKey = Type.Object(
  { name: Text(200, { examples: ['ingest'] }), scopes: Type.Optional(Scopes) },
  { additionalProperties: false, description: 'Without `scopes` the key has every scope.' },
)

export const CreatedApiKey = Type.Object(
  { ...ApiKey.properties, apiKey: ApiKeySecret },
  { $id: 'CreatedApiKey' },
)
