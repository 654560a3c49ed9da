import type { Static } from '@sinclair/typebox'
import { isUuid } from '../../platform/identifiers/ids.ts'
import { createMicroBatcher } from '../../platform/micro-batcher.ts'
import { pgArray } from '../../platform/postgres/arrays.ts'
import type { Executor } from '../../platform/postgres/pool.ts'
import { fileUrl } from './files.ts'
import type { Entity, EntityRef } from './lookup.ts'
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

type LinkedPlatformUser = Pick<Static<typeof PlatformUser>, 'externalId'>
type LinkedFile = Pick<Static<typeof File>, 'filename' | 'mimeType' | 'url'>
/** As much of an entity as is told of it. */
type Linked = LinkedPlatformUser | LinkedFile

/** An edge with what it points to; null or undefined when there is no such entity. */
export interface LinkedEdge extends Edge {
  entity?: Entity | Linked | null | undefined
}

const NO_EDGES: SentEdges = { byType: '{}', list: '[]' }

/** What an edge points to, as receivers are told it; what is known of an entity that is gone is its id. */
const TARGETS: Readonly<Record<string, (id: string, entity: LinkedEdge['entity']) => object>> = {
  platform_user: (id, entity) => ({
    platform_user_id: id,
    external_id: (entity as LinkedPlatformUser | undefined)?.externalId ?? null,
  }),
  user: (id) => ({ user_id: id }),
  file(id, entity) {
    const file = entity as LinkedFile | undefined
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

/** Gives the edges of some events of an app as they are sent now. @param texts as they were stored, as JSON texts */
export type ReadSentEdges = (appId: string, texts: readonly string[]) => Promise<SentEdges[]>

interface Wanted {
  appId: string
  refs: EntityRef[]
}

interface Row {
  kind: 'platform_user' | 'file'
  app_id: string
  id: string
  external_id: string | null
  filename: string
  mime_type: string | null
  url: string | null
  platform_connection_id: string | null
}

/** Entities that one statement reads at most, unless one call asks for more. */
const BATCH = 1_000

/** Lateral joins with one row each, as in `claimStatement`: however few the planner takes the rows for, it reads no table as a whole. */
const READ = `
select 'platform_user' as kind, wanted.app_id, wanted.id, p.external_id,
       null as filename, null as mime_type, null as url, null::uuid as platform_connection_id
  from unnest($1::uuid[], $2::uuid[]) as wanted(app_id, id)
 cross join lateral (
   select external_id from platform_users where app_id = wanted.app_id and id = wanted.id limit 1) p
union all
select 'file', wanted.app_id, wanted.id, null, f.filename, f.mime_type, f.url, f.platform_connection_id
  from unnest($3::uuid[], $4::uuid[]) as wanted(app_id, id)
 cross join lateral (
   select filename, mime_type, url, platform_connection_id
     from files where app_id = wanted.app_id and id = wanted.id limit 1) f`

/**
 * Makes a reader of what edges point to. Each delivery asks for itself: those that ask while a statement is under way are
 * answered by the next one, whatever app they are of. Where there is nothing to be looked up there is no statement.
 *
 * @param publicUrl where others reach this service: addresses of files' contents begin with it
 */
export function createSentEdgesReader(executor: Executor, publicUrl: string | undefined): ReadSentEdges {
  const batcher = createMicroBatcher<Wanted, (ref: EntityRef) => Linked | undefined>({
    async run(wanted) {
      const people = pairsOf('platform_user', wanted)
      const files = pairsOf('file', wanted)
      const { rows } = await executor.query({
        name: 'sent-edges',
        text: READ,
        values: [...columnsOf(people), ...columnsOf(files)],
      })
      const found = new Map((rows as Row[]).map((row) => [keyOf(row.app_id, row.kind, row.id), row]))
      return wanted.map(({ appId }) => ({ targetType, targetId }) => {
        const row = found.get(keyOf(appId, targetType, targetId.toLowerCase()))
        return row && linked(row, publicUrl)
      })
    },
    weight: ({ refs }) => refs.length,
    maxBatch: BATCH,
    maxWaiting: Number.MAX_SAFE_INTEGER, // bounded by how many deliveries are under way
    maxConcurrentBatches: 1,
    key: () => '',
  })

  return async (appId, texts) => {
    if (texts.every((text) => text === '[]')) return texts.map(() => NO_EDGES)
    const edges = texts.map((text) => JSON.parse(text) as Edge[])
    const refs = edges.flat().filter(isLookedUp)
    const find = refs.length === 0 ? () => undefined : await batcher.add({ appId, refs })
    return edges.map((own) => sentEdges(own.map((edge) => ({ ...edge, entity: find(edge) }))))
  }
}

/** Of a user no more is told than the edge says itself. */
const isLookedUp = ({ targetType, targetId }: EntityRef): boolean =>
  (targetType === 'platform_user' || targetType === 'file') && isUuid(targetId)

const keyOf = (appId: string, kind: string, id: string): string => `${appId} ${kind} ${id}`

/** The entities of a kind, each once. */
function pairsOf(kind: Row['kind'], wanted: readonly Wanted[]): [appId: string, id: string][] {
  const pairs = new Map<string, [string, string]>()
  for (const { appId, refs } of wanted) {
    for (const { targetType, targetId } of refs) {
      if (targetType === kind) pairs.set(`${appId} ${targetId}`, [appId, targetId])
    }
  }
  return [...pairs.values()]
}

const columnsOf = (pairs: readonly [appId: string, id: string][]): Buffer[] => [
  pgArray.uuid(pairs.map(([appId]) => appId)),
  pgArray.uuid(pairs.map(([, id]) => id)),
]

const linked = (row: Row, publicUrl: string | undefined): Linked =>
  row.kind === 'file'
    ? { filename: row.filename, mimeType: row.mime_type, url: fileUrl(row, publicUrl) }
    : { externalId: row.external_id as string }
