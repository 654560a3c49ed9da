import { readEntities, type FindEntity } from '../entities/index.ts'
import type { EventReader, EventState, StoredEvent } from '../events/index.ts'
import type { Database } from '../../platform/postgres/pool.ts'

/** An event in an answer, with those it was read with. */
export interface EventNode {
  event: StoredEvent
  batch: EventBatch
}

export interface EdgeNode {
  id: string
  edgeType: string
  targetNodeType: string
  targetNodeId: string
  batch: EventBatch
}

interface Reads {
  db: Database
  events: EventReader
  appId: string
  /** Where others reach this service; undefined when it was not told. */
  publicUrl: string | undefined
}

/**
 * Events that were read together. Whatever an answer needs of one of them is read once for all of them, when
 * it is first asked for: so the number of queries depends on the query's fields, not on the number of events.
 */
export class EventBatch {
  readonly nodes: readonly EventNode[]
  readonly #reads: Reads
  readonly #made = new Map<string, Promise<unknown>>()

  constructor(reads: Reads, events: readonly StoredEvent[]) {
    this.#reads = reads
    this.nodes = events.map((event) => ({ event, batch: this }))
  }

  #once<T>(name: string, make: () => Promise<T>): Promise<T> {
    let made = this.#made.get(name) as Promise<T> | undefined
    if (!made) this.#made.set(name, (made = make()))
    return made
  }

  async stateOf(event: StoredEvent): Promise<EventState> {
    const { events, appId } = this.#reads
    const states = await this.#once('states', () => events.states(appId, this.nodes))
    return states[this.nodes.findIndex((node) => node.event === event)] as EventState
  }

  edgesOf({ id, edges }: StoredEvent): EdgeNode[] {
    return parseEdges(edges).map(({ type, targetType, targetId }, index) => ({
      id: `${id}:${index}`,
      edgeType: type,
      targetNodeType: targetType,
      targetNodeId: targetId,
      batch: this,
    }))
  }

  entities(): Promise<FindEntity> {
    const { db, appId, publicUrl } = this.#reads
    return this.#once('entities', () =>
      readEntities(
        db,
        appId,
        this.nodes.flatMap(({ event }) => parseEdges(event.edges)),
        publicUrl,
      ),
    )
  }

  async originOf({ originEventId }: StoredEvent): Promise<EventNode | null> {
    if (originEventId === null) return null
    const { events, appId } = this.#reads
    const origins = await this.#once('origins', async () => {
      const ids = new Set(this.nodes.flatMap(({ event }) => event.originEventId ?? []))
      return new EventBatch(this.#reads, await events.getMany(appId, [...ids]))
    })
    return origins.nodes.find(({ event }) => event.id === originEventId) ?? null
  }

  /** @param first of each event at most so many */
  async childrenOf({ id }: StoredEvent, first: number): Promise<EventNode[]> {
    const { events, appId } = this.#reads
    const children = await this.#once(`children ${first}`, async () => {
      const ids = this.nodes.map(({ event }) => event.id)
      return new EventBatch(this.#reads, await events.childrenOf(appId, ids, first))
    })
    return children.nodes.filter(({ event }) => event.originEventId === id)
  }
}

const parseEdges = (edges: string) =>
  JSON.parse(edges) as { type: string; targetType: string; targetId: string }[]
