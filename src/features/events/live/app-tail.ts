import type { Log } from '../../../platform/log.ts'
import type { StoredEvent } from '../event.ts'
import type { EventReader } from '../reads.ts'

/** Recent events kept in memory for observers that are a little behind. */
const RING_EVENTS = 1_000
const RING_CHARACTERS = 8 * 1024 * 1024
/** Events read from the table at once. */
const PAGE = 500
/** Events given to a sink at once: what one slow receiver can have waiting is bounded by it. */
const SLICE = 200

/**
 * Some events in a row. One slice serves every observer at its place, so what is made of it, such as bytes
 * to send, is kept with it under a name and made once.
 */
export interface Slice {
  events: readonly StoredEvent[]
  made: Map<string, unknown>
}

/** Where an observer's events go. */
export interface Sink {
  /**
   * @returns false when the receiver cannot take more for now; nothing is written until the observer is told
   *   that it was `drained`
   */
  write(slice: Slice): boolean
  /** The log cannot be read for this observer; it must reconnect. */
  fail(): void
}

export interface Observer {
  /** The position of the last event that it was given, or began after. */
  readonly position: number
  drained(): void
  end(): void
}

export interface AppTail {
  readonly observers: number
  observe(after: number | undefined, sink: Sink): Observer
  /** Reads what was committed by now and gives it to the observers. */
  advance(): Promise<void>
  /** `advance` without waiting for it. */
  wake(): void
}

interface State {
  position: number
  sink: Sink
  blocked: boolean
  catchingUp: boolean
  ended: boolean
}

/**
 * The tail of one app's log in this process.
 *
 * `head` is the last position read. The ring holds the events up to it, without gaps. An observer whose
 * place the ring covers is served from it; one further behind reads pages of the table until the ring
 * covers it. Positions are dense and become visible in their order, so whatever follows a position is
 * complete.
 */
export function createAppTail(options: {
  appId: string
  head: number
  reader: EventReader
  log: Log
}): AppTail {
  const { appId, reader, log } = options
  let head = options.head
  let ring: StoredEvent[] = []
  let ringCharacters = 0
  let slices = new Map<number, Slice>()
  let advancing: Promise<void> | undefined
  let again = false
  const states = new Set<State>()

  function advance(): Promise<void> {
    if (advancing) again = true
    else advancing = read().finally(() => (advancing = undefined))
    return advancing
  }

  async function read(): Promise<void> {
    do {
      again = false
      const events = await reader.readAfter(appId, head, PAGE)
      if (events.length === 0) continue
      if (events.length === PAGE) again = true
      extendRing(events)
      for (const state of states) pump(state)
    } while (again)
  }

  function extendRing(events: readonly StoredEvent[]): void {
    ring.push(...events)
    for (const { payload } of events) ringCharacters += payload.length
    head = (events.at(-1) as StoredEvent).position
    let drop = 0
    while (ring.length - drop > RING_EVENTS || (ringCharacters > RING_CHARACTERS && drop < ring.length - 1)) {
      ringCharacters -= (ring[drop] as StoredEvent).payload.length
      drop += 1
    }
    if (drop > 0) ring = ring.slice(drop)
    slices = new Map()
  }

  /** The events after a position that the ring holds; undefined when it begins too late. */
  function sliceAfter(position: number): Slice | undefined {
    const kept = slices.get(position)
    if (kept) return kept
    const first = head - ring.length + 1
    if (position + 1 < first) return undefined
    const start = position + 1 - first
    const slice: Slice = { events: ring.slice(start, start + SLICE), made: new Map() }
    slices.set(position, slice)
    return slice
  }

  function give(state: State, slice: Slice): void {
    state.position = (slice.events.at(-1) as StoredEvent).position
    if (!state.sink.write(slice)) state.blocked = true
  }

  function pump(state: State): void {
    while (!state.ended && !state.blocked && !state.catchingUp && state.position < head) {
      const slice = sliceAfter(state.position)
      if (slice) give(state, slice)
      else void catchUp(state)
    }
  }

  /** Reads the table for an observer that the ring does not reach back to. */
  async function catchUp(state: State): Promise<void> {
    state.catchingUp = true
    try {
      while (!state.ended && !state.blocked && state.position < head - ring.length) {
        const events = await reader.readAfter(appId, state.position, SLICE)
        if (events.length === 0) break
        if (!state.ended) give(state, { events, made: new Map() })
      }
    } catch (error) {
      log.warn({ appId, error: (error as Error).message }, 'an observer could not be caught up')
      state.ended = true
      states.delete(state)
      state.sink.fail()
    } finally {
      state.catchingUp = false
    }
    pump(state)
  }

  return {
    get observers() {
      return states.size
    },
    observe(after, sink) {
      // A position beyond the log, from before a restore of the database, means: from now on.
      const state: State = {
        position: Math.min(after ?? head, head),
        sink,
        blocked: false,
        catchingUp: false,
        ended: false,
      }
      states.add(state)
      // In a later tick, when the caller has the observer in hand.
      setImmediate(() => pump(state))
      return {
        get position() {
          return state.position
        },
        drained() {
          state.blocked = false
          pump(state)
        },
        end() {
          state.ended = true
          states.delete(state)
        },
      }
    },
    advance,
    wake() {
      advance().catch((error: Error) =>
        log.warn({ appId, error: error.message }, 'the log could not be read'),
      )
    },
  }
}
