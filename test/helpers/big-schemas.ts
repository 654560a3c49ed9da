/** What large schemas and values are made of. */
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

export const members = <T>(count: number, make: (index: number) => T, prefix = ''): Record<string, T> =>
  Object.fromEntries(times(count, (index) => [prefix + index.toString(36), make(index)]))

/** Something put into itself again and again. */
export function nested(levels: number, around: (inner: object) => object, innermost: object = {}): object {
  return times(levels, () => 0).reduce<object>((inner) => around(inner), innermost)
}

/** $defs that each refer to the next one, twice. */
export const doubling = (levels: number, keyword: string, last: object): object => ({
  $ref: '#/$defs/a0',
  $defs: {
    ...Object.fromEntries(
      times(levels, (index) => {
        const next = { $ref: `#/$defs/a${index + 1}` }
        return [`a${index}`, { [keyword]: [next, next] }]
      }),
    ),
    [`a${levels}`]: last,
  },
})

export const NUMBERS = times(60_000, (index) => index % 10)
export const LONG = 'ab'.repeat(131_072)
export const WIDE = members(20_000, (index) => index)
export const DEEP = nested(90, (a) => ({ a }))
export const same = <T>(count: number, one: T): T[] => times(count, () => one)
