import { setImmediate as nextTick, setTimeout as wait } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Log } from '../../../platform/log/log.ts'
import type { StoredEvent } from '../event.ts'
import type { EventReader } from '../reads.ts'

/** Recent events kept in memory for observers that are a little behind. */
const RING_EVENTS = 1_000
const RING_CHARACTERS = 8 * 1024 * 1024
/** Events read from the table at once. */
const PAGE = 500
/** Events of this process's own appends that wait to be given; with more the table is read. */
const HANDED_EVENTS = 2_000
/** Parts of the table kept in memory for observers that are further behind. */
const PAGES = 8
/** Events given to a sink at once, and characters of their payloads: what one slow receiver can have waiting. */
const SLICE = 200
const SLICE_CHARACTERS = 256 * 1024
/** Observers are given something for a third of the time at most, unless that takes longer than the longest pause allows. */
const PAUSE_PER_GIVING = 2
/** What a write to one receiver takes at most: when giving took longer, the process was busy with other things. */
const WRITE_MS = 0.02
/** The shortest pause that is worth a timer, and the longest. */
const PAUSE_MS = { min: 1, max: 20 }

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
  /** How many receivers the last write went to; one unless told. */
  receivers?(): number
  /** The log cannot be read for this observer; it must reconnect. */
  fail(): void
}

export interface Observer {
  /** The position of the last event that it was given, or began after. */
  position(): number
  drained(): void
  end(): void
}

export interface AppTail {
  readonly observers: number
  /** The last position that was read. */
  readonly readTo: number
  /** Whether what follows a position is in memory. */
  covers(position: number): boolean
  observe(after: number | undefined, sink: Sink): Observer
  /**
   * Takes events that this process has just stored, in the order of their positions: where nothing is missing
   * before them they are given to the observers without being read from the table again.
   */
  hand(events: readonly StoredEvent[]): void
  /** Reads what was committed by now and gives it to the observers. */
  advance(): Promise<void>
  /** `advance` up to a position that the log has. */
  advanceTo(position: number): Promise<void>
  /** `advance` without waiting for it. */
  wake(): void
  /** Whether it was not read for so many milliseconds. */
  isUnread(ms: number): boolean
  /** Told how far the log goes: `wake`, where that is further than was read. */
  goesTo(position: number): void
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
  const pages = new LRUCache<number, Promise<Slice>>({ max: PAGES })
  let advancing: Promise<void> | undefined
  let again = false
  let readAt = -Infinity
  /** What was handed over, by the first position. */
  let handed = new Map<number, readonly StoredEvent[]>()
  let handedCount = 0
  const states = new Set<State>()

  function advance(): Promise<void> {
    if (advancing) again = true
    else advancing = read()
    return advancing
  }

  async function advanceTo(position: number): Promise<void> {
    const before = head
    if (before >= position) return
    await advance()
    // A reading finds what the log has: one that was cut meanwhile is not waited for.
    if (head > before) await advanceTo(position)
  }

  function wake(): void {
    advance().catch((error: Error) => log.warn({ appId, error: error.message }, 'the log could not be read'))
  }

  async function read(): Promise<void> {
    try {
      do {
        again = false
        const events = takeHanded() ?? (await readTable())
        if (events.length === 0) continue
        extendRing(events)
        await giveAll()
      } while (again)
    } finally {
      // In the same tick as the last look at `again`, so that no call falls in between.
      advancing = undefined
    }
  }

  async function readTable(): Promise<readonly StoredEvent[]> {
    readAt = performance.now()
    const events = await reader.readAfter(appId, head, PAGE)
    if (events.length === PAGE) again = true
    return events
  }

  /** Positions are dense, so what begins right after the head has everything before it. */
  function takeHanded(): readonly StoredEvent[] | undefined {
    const taken: StoredEvent[] = []
    for (let next = handed.get(head + 1); next; next = handed.get(head + 1 + taken.length))
      taken.push(...next)
    if (taken.length < handedCount) again = true // what comes after a gap is in the table
    forgetHanded()
    return taken.length > 0 ? taken : undefined
  }

  function giveHanded(): void {
    if (handed.size > 0) wake()
  }

  function forgetHanded(): void {
    if (handed.size > 0) handed = new Map()
    handedCount = 0
  }

  /**
   * Gives what was read to every observer, and pauses twice as long as that took. With many observers a write to
   * each is what costs, however much it holds: what comes meanwhile goes out in one.
   */
  async function giveAll(): Promise<void> {
    const began = performance.now()
    let receivers = 0
    for (const state of states) {
      pump(state)
      receivers += state.sink.receivers?.() ?? 1
    }
    await nextTick() // by when the sockets are written
    const giving = Math.min(performance.now() - began, receivers * WRITE_MS)
    const pause = giving * PAUSE_PER_GIVING
    if (pause >= PAUSE_MS.min) await wait(Math.min(pause, PAUSE_MS.max))
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
    const slice: Slice = { events: cut(ring, start), made: new Map() }
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

  /** Those that were cut off together come back together, to the same place. */
  function pageAfter(position: number): Promise<Slice> {
    let page = pages.get(position)
    if (!page) {
      page = reader
        .readAfter(appId, position, SLICE)
        .then((events) => ({ events: cut(events, 0), made: new Map() }))
      pages.set(position, page)
      page.catch(() => pages.delete(position))
    }
    return page
  }

  /** Reads the table for an observer that the ring does not reach back to. */
  async function catchUp(state: State): Promise<void> {
    state.catchingUp = true
    try {
      while (!state.ended && !state.blocked && state.position < head - ring.length) {
        const slice = await pageAfter(state.position)
        if (slice.events.length === 0) {
          pages.delete(state.position)
          break
        }
        if (!state.ended) give(state, slice)
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
    advanceTo,
    get readTo() {
      return head
    },
    covers: (position) => position >= head - ring.length,
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
        position: () => state.position,
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
    hand(events) {
      const [first] = events
      if (!first || first.position <= head) return
      if (handedCount + events.length > HANDED_EVENTS) forgetHanded()
      handed.set(first.position, events)
      handedCount += events.length
      setImmediate(giveHanded) // whoever appended is answered first
    },
    advance,
    wake,
    isUnread: (ms) => performance.now() - readAt >= ms,
    goesTo(position) {
      if (position > head) wake()
    },
  }
}

/** A slice of some events from a place on: always one event, more as far as they are small. */
function cut(events: readonly StoredEvent[], start: number): StoredEvent[] {
  let end = start
  let characters = 0
  while (end < events.length && end - start < SLICE && (end === start || characters < SLICE_CHARACTERS)) {
    characters += (events[end] as StoredEvent).payload.length
    end += 1
  }
  return events.slice(start, end)
}
