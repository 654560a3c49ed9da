import fc from 'fast-check'

/**
 * JSON texts as senders may write them, which no serialiser would: any white space, numbers of any length and
 * form, escapes that are not needed, half surrogate pairs, repeated keys, and keys that mean something to
 * JavaScript or to Heliograph.
 */

const WHITE_SPACE = fc.oneof(
  { weight: 8, arbitrary: fc.constant('') },
  fc.constantFrom(' ', '\n', '\t', '\r', '\r\n', ' \n\t '),
)

const NUMBER = fc.oneof(
  fc.constantFrom('-0', '0.0', '1e400', '-1E+400', '1e-400', '0.1000', '12345678901234567890', '1E5'),
  fc.stringMatching(/^-?(0|[1-9]\d{0,40})(\.\d{1,40})?([eE][+-]?\d{1,3})?$/),
)

const escaped = (text: string): string =>
  `"${Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`

const STRING = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => JSON.stringify(text)),
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => JSON.stringify(text)),
  fc.string({ unit: 'binary', maxLength: 6 }).map(escaped),
  fc.constantFrom(
    '"\\ud800"',
    '"\\uDFFF\\ud800"',
    '"\\u0000"',
    '"\\/\\b\\f"',
    '"\u2028\u2029\u007f"',
    '"\\\\"',
    '"\\""',
    '"]}"',
    '"\uFEFF"',
  ),
)

/** Keys that mean something to JavaScript or to Heliograph. */
const SPECIAL_KEYS =
  '__proto__ constructor prototype toString hasOwnProperty toJSON length 0 1 10 -1 payload events edges type externalId $ref . /'.split(
    ' ',
  )

const KEY = fc.oneof(
  STRING,
  fc.constantFrom('', '\n', ...SPECIAL_KEYS).map((key) => JSON.stringify(key)),
)

const spaced = (parts: fc.Arbitrary<string[]>, open: string, close: string): fc.Arbitrary<string> =>
  fc
    .tuple(parts, fc.array(WHITE_SPACE, { minLength: 2, maxLength: 2 }))
    .map(([texts, [first, second]]) => `${open}${first}${texts.join(`${second},${first}`)}${second}${close}`)

const { value, object } = fc.letrec<{ value: string; array: string; object: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6, depthSize: 'small' },
    STRING,
    NUMBER,
    fc.constantFrom('true', 'false', 'null'),
    tie('object'),
    tie('array'),
  ),
  array: spaced(fc.array(tie('value'), { maxLength: 5 }), '[', ']'),
  object: spaced(
    fc.array(
      fc
        .tuple(KEY, WHITE_SPACE, WHITE_SPACE, tie('value'))
        .map(([key, before, after, member]) => `${key}${before}:${after}${member}`),
      { maxLength: 6 },
    ),
    '{',
    '}',
  ),
}))

export const jsonText: fc.Arbitrary<string> = value
export const jsonObjectText: fc.Arbitrary<string> = object
export const whiteSpace: fc.Arbitrary<string> = WHITE_SPACE
