import { getNamedType, isCompositeType, type DocumentNode, type GraphQLSchema } from 'graphql'
import { getComplexity, type ComplexityEstimator } from 'graphql-query-complexity'
import { Problem } from '../../platform/http/problems.ts'

/** Fields within fields; the introspection query that tools send has 13. */
export const MAX_DEPTH = 15
/** Words and signs of a query. Checking it takes time that grows with their square. */
export const MAX_TOKENS = 4_000
/** Objects that an answer may hold. */
const MAX_COST = 10_000
/** What a list without `first` is taken to hold. */
const USUAL_LIST = 5

/** An object costs one, and all that is in it; a list as many times that as it may have items. */
const estimate: ComplexityEstimator = ({ type, field, args, childComplexity }) => {
  const each = childComplexity + (isCompositeType(getNamedType(field.type)) ? 1 : 0)
  const size = field.args.find(({ name }) => name === 'first')
  if (size) return each * Math.max((args['first'] ?? size.defaultValue) as number, 1)
  // How many a connection has is told by its own `first`.
  const isOwnList = type.name.endsWith('Connection') && field.name === 'edges'
  return String(field.type).startsWith('[') && !isOwnList ? each * USUAL_LIST : each
}

/** @throws Problem `query-too-costly` */
export function refuseCostly(
  schema: GraphQLSchema,
  query: DocumentNode,
  variables: Record<string, unknown>,
  operationName: string | undefined,
): void {
  const cost = getComplexity({
    schema,
    query,
    variables,
    estimators: [estimate],
    ...(operationName !== undefined && { operationName }),
  })
  if (cost <= MAX_COST) return
  throw new Problem(
    'query-too-costly',
    `The answer could hold ${cost} objects; ${MAX_COST} are allowed. Ask for fewer with "first".`,
  )
}
