import { Type, type TObject, type TSchema } from '@sinclair/typebox'
import { Problem } from './problems.ts'

export const MAX_PAGE = 100
const DEFAULT_PAGE = 50

/** Query parameters that every list takes. `first` is GraphQL's name for `limit`. */
export const pageQuery = {
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: MAX_PAGE,
      description: `How many at most; ${DEFAULT_PAGE} unless told.`,
    }),
  ),
  first: Type.Optional(
    Type.Integer({ minimum: 1, maximum: MAX_PAGE, description: 'Another name for `limit`.' }),
  ),
  after: Type.Optional(
    Type.String({
      maxLength: 300,
      description: '`pageInfo.endCursor` of the page before; leave it out for the first.',
    }),
  ),
}

export const PageInfo = Type.Object(
  {
    hasNextPage: Type.Boolean(),
    endCursor: Type.Union([Type.String(), Type.Null()], {
      description: 'Pass it as `after` to get the next page.',
    }),
  },
  { examples: [{ hasNextPage: true, endCursor: 'NDE' }] },
)

export interface Page<Row> {
  rows: Row[]
  pageInfo: { hasNextPage: boolean; endCursor: string | null }
}

/** The body of a list response. */
export const pageOf = <Item extends TSchema>(
  item: Item,
): TObject<{ data: ReturnType<typeof Type.Array<Item>>; pageInfo: typeof PageInfo }> =>
  Type.Object({ data: Type.Array(item), pageInfo: PageInfo })

/** How many rows a request asks for. */
export const pageSize = (query: { limit?: number; first?: number }): number =>
  query.limit ?? query.first ?? DEFAULT_PAGE

/** What a caller passes as `after` to go on behind a value that the list is ordered by. */
export const toCursor = (value: string): string => Buffer.from(value).toString('base64url')

/**
 * Makes a page of rows read with one more than asked for, which tells whether there is a next page.
 *
 * @param cursor the value of a row that the list is ordered by
 */
export function toPage<Row>(rows: Row[], size: number, cursor: (row: Row) => string): Page<Row> {
  const page = rows.slice(0, size)
  const last = page.at(-1)
  return {
    rows: page,
    pageInfo: {
      hasNextPage: rows.length > size,
      endCursor: last === undefined ? null : toCursor(cursor(last)),
    },
  }
}

/**
 * What a cursor stands for.
 *
 * @param form what it must look like once decoded
 * @throws Problem `invalid-cursor`
 */
export function readCursor(cursor: string | undefined, form: RegExp): string | undefined {
  if (cursor === undefined) return undefined
  const value = Buffer.from(cursor, 'base64url').toString('utf8')
  if (!form.test(value))
    throw new Problem('invalid-cursor', 'Pass the endCursor of the page before, unchanged.')
  return value
}

export const POSITION_CURSOR = /^\d{1,15}$/
export const ID_CURSOR = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
