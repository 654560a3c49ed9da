import { Type, type SchemaOptions, type Static, type TSchema, type TUnsafe } from '@sinclair/typebox'
import { SECRET_LENGTH } from '../secrets/signing.ts'
import { PROBLEMS, problemType, type ProblemName } from './problems.ts'

const UUID_FORM = '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'

/** The id and the time of all examples. */
export const EXAMPLE_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
export const EXAMPLE_TIME = '2026-11-21T17:32:56.188Z'

/** Examples of a body as a whole, by what each shows; for a schema that stands in no other. */
export const bodyExamples = (examples: Record<string, unknown>): SchemaOptions => ({
  'x-examples': Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }])),
})

export const Uuid = (options: SchemaOptions = {}) =>
  // Not left to the format alone, which also takes `urn:uuid:`.
  Type.String({
    format: 'uuid',
    pattern: UUID_FORM,
    examples: [EXAMPLE_ID],
    ...options,
  })

export const Timestamp = (options: SchemaOptions = {}) =>
  Type.String({ format: 'date-time', examples: [EXAMPLE_TIME], ...options })

export const Nullable = <S extends TSchema>(schema: S, options: SchemaOptions = {}) =>
  Type.Union([schema, Type.Null()], options)

/** Text that Postgres stores as it is: without zero characters and halves of surrogate pairs. */
export const Text = (maxLength: number, options: SchemaOptions = {}) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000\\ud800-\\udfff]*$', ...options })

/** A secret that signs; `faultOfSecret` has what a schema cannot say of it. */
export const SigningSecret = (options: SchemaOptions = {}) =>
  Type.String({
    minLength: SECRET_LENGTH.least,
    maxLength: SECRET_LENGTH.most,
    examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    ...options,
  })

/** An object with any members. (`Type.Record` looks at each name, and leaves out those with a line break.) */
export const AnyObject = (options: SchemaOptions = {}) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, ...options })

/** Errors of any route that takes a body. */
export const BODY_PROBLEMS = [
  'invalid-json',
  'validation-failed',
  'payload-too-large',
  'unsupported-media-type',
] as const satisfies ProblemName[]

/** A response or a body in one of several media types. A response of this kind is sent as text. */
export const inMediaTypes = <Body = string>(schemas: Record<string, TSchema>, options: SchemaOptions = {}) =>
  Type.Unsafe<Body>({
    ...options,
    content: Object.fromEntries(
      Object.entries(schemas).map(([mediaType, schema]) => [mediaType, { schema }]),
    ),
  })

/** Refers to a schema that was added by its `$id`, so that the OpenAPI document names it once. */
export const ref = <S extends TSchema>(schema: S): TUnsafe<Static<S>> => {
  if (schema.$id === undefined) throw new Error('Only a schema with an $id can be referred to.')
  return Type.Unsafe<Static<S>>({ $ref: `${schema.$id}#` })
}

export const ProblemDocument = Type.Object(
  {
    type: Type.String({
      description: 'Which error this is; it never changes its meaning.',
      enum: Object.keys(PROBLEMS).map((name) => problemType(name as ProblemName)),
    }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What is wrong with this request and what to do about it.' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'A JSON pointer (RFC 6901) to what is meant.' }),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { $id: 'Problem', description: 'An error (RFC 9457).' },
)

/** Errors that any route with a key may answer with. */
const COMMON: ProblemName[] = ['unauthorized', 'forbidden', 'internal', 'unavailable']

/**
 * The responses of a route: the given ones and its errors, one entry per status with an example of each.
 *
 * @param problems the errors it may answer with, beside those that every route has
 */
export function responses<S extends Record<number, TSchema>>(
  success: S,
  problems: readonly ProblemName[] = [],
): S {
  const byStatus = Map.groupBy([...COMMON, ...problems], (name) => PROBLEMS[name].status)
  const errors = [...byStatus].map(([status, names]) => [
    status,
    {
      description: names.map((name) => PROBLEMS[name].title).join('; '),
      content: {
        'application/problem+json': {
          schema: { $ref: 'Problem#' },
          examples: Object.fromEntries(
            names.map((name) => [
              name,
              { value: { type: problemType(name), ...PROBLEMS[name], detail: `${PROBLEMS[name].title}.` } },
            ]),
          ),
        },
      },
    },
  ])
  return { ...success, ...Object.fromEntries(errors) } as S
}
