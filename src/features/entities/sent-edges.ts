import type { Static } from '@sinclair/typebox'
import type { Database } from '../../platform/postgres/pool.ts'
import { readEntities, type Entity, type EntityRef } from './lookup.ts'
import type { File, PlatformUser } from './schemas.ts'

/** The edges of an event in the form in which they are sent, as JSON texts. */
export interface SentEdges {
  /** An object: by its type the first edge of it. */
  byType: string
  /** All of them in their order. */
  list: string
}

interface Edge extends EntityRef {
  type: string
}

/** An edge with what it points to; null or undefined when there is no such entity. */
export interface LinkedEdge extends Edge {
  entity?: Entity | null | undefined
}

const NO_EDGES: SentEdges = { byType: '{}', list: '[]' }

/** What an edge points to, as receivers are told it; what is known of an entity that is gone is its id. */
const TARGETS: Readonly<Record<string, (id: string, entity: Entity | null | undefined) => object>> = {
  platform_user: (id, entity) => ({
    platform_user_id: id,
    external_id: (entity as Static<typeof PlatformUser> | undefined)?.externalId ?? null,
  }),
  user: (id) => ({ user_id: id }),
  file(id, entity) {
    const file = entity as Static<typeof File> | undefined
    return {
      file_id: id,
      name: file?.filename ?? null,
      type: file?.mimeType ?? null,
      url: file?.url ?? null,
    }
  },
}

function target({ targetType, targetId, entity }: LinkedEdge): object {
  const known = Object.hasOwn(TARGETS, targetType) ? TARGETS[targetType] : undefined
  return known ? known(targetId, entity) : { target_type: targetType, target_id: targetId }
}

/** The form of SPEC section 3: of edges of one type the first stands in the object, and all stand in the list. */
export function sentEdges(edges: readonly LinkedEdge[]): SentEdges {
  if (edges.length === 0) return NO_EDGES
  const byType = new Map<string, string>()
  for (const edge of edges) {
    if (!byType.has(edge.type)) byType.set(edge.type, JSON.stringify(target(edge)))
  }
  const members = [...byType].map(([type, json]) => `${JSON.stringify(type)}:${json}`)
  const list = edges.map((edge) => ({
    edge_type: edge.type,
    target_type: edge.targetType,
    target_id: edge.targetId,
    ...target(edge),
  }))
  return { byType: `{${members.join()}}`, list: JSON.stringify(list) }
}

/**
 * The edges of some events of an app, as they are sent now: one query for each kind of entity among them, and
 * none where no event has an edge.
 *
 * @param texts the edges of each event as it was stored, as JSON text
 * @param publicUrl where others reach this service: addresses of files' contents begin with it
 */
export async function readSentEdges(
  db: Database,
  appId: string,
  texts: readonly string[],
  publicUrl: string | undefined,
): Promise<SentEdges[]> {
  if (texts.every((text) => text === '[]')) return texts.map(() => NO_EDGES)
  const edges = texts.map((text) => JSON.parse(text) as Edge[])
  const find = await readEntities(db, appId, edges.flat(), publicUrl)
  return edges.map((own) => sentEdges(own.map((edge) => ({ ...edge, entity: find(edge) }))))
}
