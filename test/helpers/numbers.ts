import fc from 'fast-check'

/** Numbers of JSON that a program with doubles changes, or writes otherwise than they were written. */
export const HARD_NUMBERS = [
  '813683310949021977',
  '-9007199254740993',
  '12345678901234567890123456789.5',
  '0.1000000000000000055511151231257827',
  '1e400',
  '-1E+400',
  '1e-400',
  '-0',
  '0.0',
  '1.10',
  '1e0',
  '100000000000000000000000',
]

/** A number of JSON; many of them are equal, or so near to each other that doubles are. */
export const NUMBER_TEXT = fc.oneof(
  fc.constantFrom(
    ...HARD_NUMBERS,
    '0',
    '1',
    '10',
    '1.0',
    '0.1',
    '0.10',
    '813683310949021978',
    '9007199254740992',
  ),
  fc
    .tuple(
      fc.constantFrom('', '-'),
      fc.constantFrom('9007199254740992', '1', '12', '120', '0', '90071992547409915'),
    )
    .chain(([sign, digits]) =>
      fc
        .tuple(
          fc.constantFrom('', '.0', '.5', '.00000000000000000001'),
          fc.constantFrom('', 'e0', 'E+2', 'e-3', 'e25'),
        )
        .map(([fraction, exponent]) => sign + digits + fraction + exponent),
    ),
  fc.stringMatching(/^-?(0|[1-9]\d{0,25})(\.\d{1,25})?([eE][+-]?\d{1,3})?$/),
)

/** The number as a fraction of whole numbers, `[numerator, denominator]`. */
export function fractionOf(text: string): [bigint, bigint] {
  const [mantissa = '', exponent = '0'] = text.toLowerCase().split('e')
  const [whole = '', decimals = ''] = mantissa.split('.')
  const power = BigInt(exponent) - BigInt(decimals.length)
  const digits = BigInt(whole + decimals)
  return power >= 0n ? [digits * 10n ** power, 1n] : [digits, 10n ** -power]
}

/** Less than 0, 0 or more than 0, as the first number is smaller, equal or greater. */
export function orderOf(a: string, b: string): number {
  const [[up, down], [otherUp, otherDown]] = [fractionOf(a), fractionOf(b)]
  const [left, right] = [up * otherDown, otherUp * down]
  return left === right ? 0 : left < right ? -1 : 1
}
