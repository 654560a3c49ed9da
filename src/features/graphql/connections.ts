import { Problem } from '../../platform/http/problems.ts'
import { MAX_PAGE, toCursor, type Page } from '../../platform/http/pagination.ts'

/** What connections of the schema have in common. */
export interface Connection<Node> {
  edges: { node: Node; cursor: string }[]
  pageInfo: {
    hasNextPage: boolean
    hasPreviousPage: boolean
    startCursor: string | null
    endCursor: string | null
  }
}

/** @param usual what null stands for @throws Problem for a size that no page may have */
export function sizeOf(given: number | null, usual: number, most = MAX_PAGE): number {
  const first = given ?? usual
  if (first >= 0 && first <= most) return first
  throw new Problem('validation-failed', `first must be from 0 to ${most}.`)
}

/**
 * A page as a connection.
 *
 * @param after the cursor that the page was asked for
 * @param cursor the value of a row that the list is ordered by
 */
export function toConnection<Row, Node>(
  { rows, pageInfo }: Page<Row>,
  after: string | null | undefined,
  cursor: (row: Row) => string,
  toNode: (row: Row, index: number) => Node,
): Connection<Node> {
  const edges = rows.map((row, index) => ({ node: toNode(row, index), cursor: toCursor(cursor(row)) }))
  return {
    edges,
    pageInfo: {
      ...pageInfo,
      hasPreviousPage: after !== undefined && after !== null,
      startCursor: edges[0]?.cursor ?? null,
    },
  }
}
