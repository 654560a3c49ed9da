import { Type } from '@sinclair/typebox'
import { EXAMPLE_ID, EXAMPLE_TIME, Nullable, Text, Timestamp, Uuid } from '../../platform/http/schemas.ts'

export const App = Type.Object(
  { id: Uuid(), name: Type.String({ examples: ['shop'] }), createdAt: Timestamp() },
  {
    $id: 'App',
    description: 'A tenant: it owns keys, event types, events and subscriptions.',
    examples: [{ id: EXAMPLE_ID, name: 'shop', createdAt: EXAMPLE_TIME }],
  },
)

const ApiKeySecret = Type.String({
  description: 'Shown once: only its hash is kept.',
  examples: ['hg_5f2c9b7e01aa43d8_Xk3…'],
})

export const NewApp = Type.Object(
  { name: Text(200, { examples: ['shop'] }) },
  { additionalProperties: false, examples: [{ name: 'shop' }] },
)

export const CreatedApp = Type.Object(
  { ...App.properties, apiKey: ApiKeySecret },
  {
    $id: 'CreatedApp',
    description: 'The new app with its first key, which has every scope but `events:import`.',
  },
)

export const ApiKey = Type.Object(
  {
    id: Type.String({ examples: ['5f2c9b7e01aa43d8'] }),
    name: Type.String(),
    scopes: Type.Array(Type.String()),
    createdAt: Timestamp(),
    revokedAt: Nullable(Timestamp()),
  },
  {
    $id: 'ApiKey',
    examples: [
      {
        id: '5f2c9b7e01aa43d8',
        name: 'ingest',
        scopes: ['events:write'],
        createdAt: EXAMPLE_TIME,
        revokedAt: null,
      },
    ],
  },
)

const scopesOf = (scopes: readonly string[]) =>
  Type.Array(Type.Union(scopes.map((scope) => Type.Literal(scope))), {
    minItems: 1,
    uniqueItems: true,
    description:
      'What the key may be used for. `events:import` allows it, where it may append events, to append those of the built-in types that only the service itself appends otherwise (`message.*`, `user.*`, `system.*`, `link_code.*`, `inquiry.submitted`).',
    examples: [['events:write', 'events:read']],
  })

/** @param scopes every right that a key can have */
export const newApiKey = (scopes: readonly string[]) =>
  Type.Object(
    { name: Text(200, { examples: ['ingest'] }), scopes: Type.Optional(scopesOf(scopes)) },
    {
      additionalProperties: false,
      description: 'Without `scopes` the key has every scope but `events:import`.',
      examples: [{ name: 'ingest', scopes: ['events:write'] }],
    },
  )

export const CreatedApiKey = Type.Object(
  { ...ApiKey.properties, apiKey: ApiKeySecret },
  { $id: 'CreatedApiKey' },
)

export const SigningKey = Type.Object(
  {
    id: Uuid({ description: 'The `kid` of the key in the JSON Web Key Set.' }),
    publicKey: Type.String({
      description: 'Verifies `v1a` signatures: `whpk_` and the 32 bytes of an ed25519 public key in base64.',
      examples: ['whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='],
    }),
    createdAt: Timestamp(),
    expiresAt: Nullable(Timestamp(), { description: 'Until when it signs; null for the current key.' }),
  },
  {
    $id: 'SigningKey',
    examples: [
      {
        id: EXAMPLE_ID,
        publicKey: 'whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=',
        createdAt: EXAMPLE_TIME,
        expiresAt: null,
      },
    ],
  },
)

export const SigningKeyRotation = Type.Object(
  {
    overlapSeconds: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 30 * 24 * 3600,
        description:
          'How long the key until now signs beside the new one; a day unless given. 0: it ends at once.',
        examples: [86_400],
      }),
    ),
  },
  { additionalProperties: false, examples: [{ overlapSeconds: 86_400 }] },
)

export const JwkSet = Type.Object(
  {
    keys: Type.Array(
      Type.Object({
        kty: Type.Literal('OKP'),
        crv: Type.Literal('Ed25519'),
        alg: Type.Literal('EdDSA'),
        use: Type.Literal('sig'),
        kid: Uuid(),
        x: Type.String({ examples: ['11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'] }),
      }),
    ),
  },
  {
    $id: 'JwkSet',
    description: 'RFC 7517, with keys as in RFC 8037.',
    examples: [
      {
        keys: [
          {
            kty: 'OKP',
            crv: 'Ed25519',
            alg: 'EdDSA',
            use: 'sig',
            kid: EXAMPLE_ID,
            x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
          },
        ],
      },
    ],
  },
)
