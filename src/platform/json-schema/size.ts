/** Deeper ones overflow the stack of the compiler: at 280 levels of the worst kind, in a fresh stack. */
const MAX_DEPTH = 200

/**
 * Objects that a schema may come to when every reference is replaced by what it leads to. A value that meets
 * all of them once then spends a twentieth of its budget or so; what unfolds to more doubles at every step,
 * and no payload would ever pass.
 */
const MAX_UNFOLDED = 100_000

/** Keywords whose value is data, or subschemas that only references lead to. */
const NOT_FOLLOWED = new Set(['enum', 'const', 'default', 'examples', '$defs', 'definitions'])

type Json = Record<string, unknown>

const isContainer = (value: unknown): value is Json => typeof value === 'object' && value !== null

/** @throws Error when the compiler could overflow the stack. Does not do so itself. */
export function refuseTooDeep(schema: unknown): void {
  let level = [schema].filter(isContainer)
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw new Error(`it is nested deeper than ${MAX_DEPTH}; move inner parts to $defs`)
    level = level.flatMap((container) => Object.values(container).filter(isContainer))
  }
}

/**
 * Follows references by JSON pointer and by anchor, as they stand in the root; any other counts as nothing,
 * and so does one that is part of a circle. What escapes here is still held by the budget of evaluations.
 *
 * @throws Error when it unfolds to too much
 */
export function refuseUnfoldingTooFar(schema: object): void {
  const targetOf = referenceTargets(schema)
  const order = new Map<Json, number>()
  const unfinished: Json[] = []
  const circleOf = new Map<Json, Json>()
  const sizes = new Map<Json, number>()

  /** Tarjan's walk; gives the earliest unfinished container that this one leads back to. */
  function visit(container: Json): number {
    const own = order.size
    order.set(container, own)
    unfinished.push(container)
    const next = [...parts(container), ...targetOf(container)]
    let earliest = own
    for (const one of next) {
      const seen = order.get(one)
      if (seen === undefined) earliest = Math.min(earliest, visit(one))
      else if (!circleOf.has(one)) earliest = Math.min(earliest, seen)
    }
    if (earliest === own) {
      const circle = unfinished.splice(unfinished.indexOf(container))
      for (const one of circle) circleOf.set(one, container)
      for (const one of circle.toReversed()) sizes.set(one, sizeOf(one))
    }
    return earliest
  }

  function sizeOf(container: Json): number {
    const outside = targetOf(container).filter((one) => circleOf.get(one) !== circleOf.get(container))
    const next = [...parts(container), ...outside]
    const size = next.reduce((sum, one) => sum + (sizes.get(one) ?? 0), 1)
    if (size <= MAX_UNFOLDED) return size
    throw new Error(
      `its references unfold to more than ${MAX_UNFOLDED} subschemas; have each part refer to the next one once`,
    )
  }

  visit(schema as Json)
}

const parts = (container: Json): Json[] =>
  Object.entries(container).flatMap(([key, value]) =>
    isContainer(value) && !NOT_FOLLOWED.has(key) ? [value] : [],
  )

function referenceTargets(root: object): (container: Json) => Json[] {
  const anchors = new Map<unknown, Json>()
  const everything: Json[] = [root as Json]
  for (const container of everything) {
    if (typeof container['$anchor'] === 'string') anchors.set(`#${container['$anchor']}`, container)
    for (const value of Object.values(container)) if (isContainer(value)) everything.push(value)
  }
  return ({ $ref }) => {
    if (typeof $ref !== 'string' || !$ref.startsWith('#')) return []
    const target = anchors.get($ref) ?? atPointer(root as Json, $ref.slice(1))
    return target ? [target] : []
  }
}

function atPointer(root: Json, fragment: string): Json | undefined {
  let found: unknown = root
  for (const part of fragment.split('/').slice(1)) {
    const key = decoded(part)
    if (!isContainer(found) || !Object.hasOwn(found, key)) return undefined
    found = found[key]
  }
  return isContainer(found) ? found : undefined
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return part
  }
}
