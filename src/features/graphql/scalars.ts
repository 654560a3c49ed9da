import { GraphQLError, Kind, valueFromASTUntyped, type ValueNode } from 'graphql'
import { writtenNumber } from '../../platform/json/exact-numbers.ts'
import { isUuid } from '../../platform/identifiers/ids.ts'

const TIME_FORM = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/

/** Kinds of entities that Heliograph knows have GraphQL's spelling of constants; others stand as they are. */
const KNOWN_NODES = new Set(['user', 'platform_user', 'file'])

function text(name: string, isRight: (value: string) => boolean, change = (value: string) => value) {
  const parse = (value: unknown, nodes?: ValueNode): string => {
    if (typeof value === 'string' && isRight(value)) return change(value)
    const given = typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : 'That'
    throw new GraphQLError(`${given} is no ${name}.`, { nodes: nodes ?? null })
  }
  return {
    serialize: String,
    parseValue: (value: unknown) => parse(value),
    parseLiteral: (node: ValueNode) => parse(node.kind === Kind.STRING ? node.value : valueOf(node), node),
  }
}

/** Deeper values are refused: writing them as JSON would overflow the stack. */
const MAX_DEPTH = 1_000

const anything = {
  parseValue: writable,
  parseLiteral: (node: ValueNode, variables: Record<string, unknown> | null | undefined) =>
    writable(asWritten(node, variables), node),
}

/** What a literal stands for, with its numbers as they are written. */
function asWritten(node: ValueNode, variables?: Record<string, unknown> | null): unknown {
  if (node.kind === Kind.INT || node.kind === Kind.FLOAT) return writtenNumber(node.value)
  if (node.kind === Kind.LIST) return node.values.map((item) => asWritten(item, variables))
  if (node.kind !== Kind.OBJECT) return valueFromASTUntyped(node, variables)
  return Object.fromEntries(node.fields.map(({ name, value }) => [name.value, asWritten(value, variables)]))
}

/** A value that is not nested too deeply. */
function writable(value: unknown, nodes?: ValueNode): unknown {
  const open: [unknown, number][] = [[value, 1]]
  for (let next = open.pop(); next; next = open.pop()) {
    const [part, depth] = next
    if (depth > MAX_DEPTH) {
      throw new GraphQLError(`It is nested deeper than ${MAX_DEPTH}.`, { nodes: nodes ?? null })
    }
    if (typeof part === 'object' && part !== null)
      for (const member of Object.values(part)) open.push([member, depth + 1])
  }
  return value
}

const valueOf = (node: ValueNode): unknown => valueFromASTUntyped(node)

/** The scalars of the schema; what is given for one is checked before any resolver sees it. */
export const scalars = {
  UUID: text('UUID', isUuid, (value) => value.toLowerCase()),
  DateTime: text('DateTime', (value) => TIME_FORM.test(value) && !Number.isNaN(Date.parse(value))),
  JSON: anything,
  MessageContent: anything,
  NodeType: {
    serialize: (value: unknown) => (KNOWN_NODES.has(String(value)) ? String(value).toUpperCase() : value),
    parseValue: (value: unknown) => toNodeType(value),
    parseLiteral: (node: ValueNode) =>
      toNodeType(node.kind === Kind.ENUM || node.kind === Kind.STRING ? node.value : valueOf(node), node),
  },
}

function toNodeType(value: unknown, nodes?: ValueNode): string {
  if (typeof value !== 'string')
    throw new GraphQLError('A NodeType is a constant such as PLATFORM_USER.', { nodes: nodes ?? null })
  const known = value.toLowerCase()
  return KNOWN_NODES.has(known) ? known : value
}
