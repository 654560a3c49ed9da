import { Type, type SchemaOptions } from '@sinclair/typebox'
import { EXAMPLE_TIME, Nullable, pageQuery, SNOWFLAKE_FORM, Text, Timestamp } from 'heliograph/extension'

const InquiryType = Type.Union(
  [
    Type.Literal('100_GENERAL'),
    Type.Literal('200_SALES'),
    Type.Literal('300_SUPPORT'),
    Type.Literal('400_PARTNERSHIP'),
    Type.Literal('500_PRESS'),
    Type.Literal('900_OTHER'),
  ],
  { description: 'What it is about.', examples: ['200_SALES'] },
)

/** No control characters, separators of lines, or halves of surrogate pairs. */
const ONE_LINE = '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029\\ud800-\\udfff]*$'
/** The same, but with tabs and line breaks. */
const LINES = '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\ud800-\\udfff]*$'

/** A form sends what was left empty as an empty text, so that is taken as well. */
const optional = (maxLength: number, pattern: string, options: SchemaOptions = {}) =>
  Type.Optional(Nullable(Type.String({ maxLength, pattern, ...options })))

/** The longest address that mail can be sent to (RFC 5321). */
const MAX_EMAIL = 254
const Email = (options: SchemaOptions = {}) =>
  Type.String({ format: 'email', maxLength: MAX_EMAIL, examples: ['ada@example.com'], ...options })

const EXAMPLE = {
  type: '200_SALES',
  firstName: 'Ada',
  lastName: 'Lovelace',
  email: 'ada@example.com',
  businessName: null,
  subject: 'An offer',
  message: 'Please send me an offer.',
}

export const NewInquiry = Type.Object(
  {
    type: InquiryType,
    firstName: Text(100, { pattern: ONE_LINE, examples: ['Ada'] }),
    lastName: optional(100, ONE_LINE, { examples: ['Lovelace'] }),
    email: Email(),
    businessName: optional(200, ONE_LINE),
    subject: optional(200, ONE_LINE, { examples: ['An offer'] }),
    message: optional(10_000, LINES, { examples: ['Please send me an offer.\nAda'] }),
  },
  {
    additionalProperties: false,
    description:
      'White space around texts is left out; an optional one that is empty then is null. Only `message` may have line breaks.',
    examples: [EXAMPLE],
  },
)

export const Inquiry = Type.Object(
  {
    id: Type.String({
      description: 'A Snowflake, as a decimal number: too large for a number of JSON. It has the time in it.',
      examples: ['912345678901234567'],
    }),
    type: InquiryType,
    firstName: Type.String(),
    lastName: Nullable(Type.String()),
    email: Email(),
    businessName: Nullable(Type.String()),
    subject: Nullable(Type.String()),
    message: Nullable(Type.String()),
    createdAt: Timestamp(),
  },
  {
    $id: 'Inquiry',
    description: 'What somebody sent with a contact form.',
    examples: [{ id: '912345678901234567', ...EXAMPLE, createdAt: EXAMPLE_TIME }],
  },
)

export const InquiryQuery = Type.Object(
  {
    ...pageQuery,
    order: Type.Optional(
      Type.Union([Type.Literal('asc'), Type.Literal('desc')], {
        description: 'Oldest or newest first; `desc` unless told.',
      }),
    ),
    type: Type.Optional(InquiryType),
    email: Type.Optional(Email({ description: 'Only from this address, in capitals or not.' })),
    createdAtGte: Type.Optional(Timestamp({ description: 'Only from this time on.' })),
    createdAtLte: Type.Optional(Timestamp({ description: 'Only up to this time.' })),
  },
  { additionalProperties: false },
)

export const InquiryId = Type.Object({
  id: Type.String({ pattern: SNOWFLAKE_FORM, examples: ['912345678901234567'] }),
})
