import { AsyncLocalStorage } from 'node:async_hooks'
import type { Log } from '../../platform/log/log.ts'
import { within } from '../../platform/time/within.ts'
import { compilePatterns, PATTERN_FORM, type Matches } from '../matching/index.ts'
import type { AppendedEvent } from './append/appended.ts'
import type { StoredEvent } from './event.ts'

/** How long an append waits for a listener unless the listener says otherwise. */
const DEFAULT_TIMEOUT_MS = 5_000
/** A listener may append what others listen to, but not in a circle. */
const MAX_DEPTH = 8

/** An event as extensions see it. */
export interface ExtensionEvent {
  appId: string
  id: string
  position: number
  type: string
  /** With numbers of JavaScript. */
  payload: Record<string, unknown>
  originEventId: string | null
  externalId: string | null
  orgid: string | null
  createdAt: Date
}

/** Told of an event that is stored. What it throws is logged; it undoes nothing and stops no other listener. */
export type OnEvent = (payload: Record<string, unknown>, event: ExtensionEvent) => void | Promise<void>

export interface ListenerOptions {
  /** `awaited`, unless given: whoever appends is answered once the listener is done. `background`: at once. */
  mode?: 'awaited' | 'background'
  /** How long an append waits for it, in milliseconds; 5 seconds unless given. What it does is not stopped. */
  timeoutMs?: number
}

interface Listener extends Required<ListenerOptions> {
  /** Whose it is. */
  owner: string
  pattern: string
  matches: Matches
  listener: OnEvent
}

/** Those in this process who are told of what it stores. */
export interface Listeners {
  /** @throws Error for what is no pattern */
  add(owner: string, pattern: string, listener: OnEvent, options?: ListenerOptions): void
  /** Tells of the events of an append that are new; resolves once the awaited listeners are done. Never rejects. */
  tell(events: readonly AppendedEvent[]): Promise<void>
  /** Resolves once nothing is under way, or after some seconds: a listener may never end. */
  idle(): Promise<void>
}

export function createListeners(log: Log): Listeners {
  const all: Listener[] = []
  const underWay = new Set<Promise<void>>()
  const depth = new AsyncLocalStorage<number>()

  async function call({ owner, pattern, listener, mode, timeoutMs }: Listener, event: ExtensionEvent) {
    const about = { extension: owner, pattern, appId: event.appId, eventId: event.id, type: event.type }
    const level = (depth.getStore() ?? 0) + 1
    if (level > MAX_DEPTH) return log.error(about, `not told: ${MAX_DEPTH} listeners caused one another`)
    const done = depth.run(level, async () => listener(event.payload, event))
    const settled = done.then(
      () => {},
      (error: unknown) => log.error({ ...about, error: messageOf(error) }, 'a listener failed'),
    )
    underWay.add(settled)
    void settled.finally(() => underWay.delete(settled))
    if (mode === 'background') return
    await within(timeoutMs, settled).catch(() =>
      log.warn({ ...about, timeoutMs }, 'a listener takes too long: the append does not wait any more'),
    )
  }

  return {
    add(owner, pattern, listener, { mode = 'awaited', timeoutMs = DEFAULT_TIMEOUT_MS } = {}) {
      if (!new RegExp(PATTERN_FORM).test(pattern))
        throw new Error(`"${pattern}" is no pattern of event types.`)
      all.push({ owner, pattern, matches: compilePatterns([pattern]), listener, mode, timeoutMs })
    },
    async tell(events) {
      if (all.length === 0) return
      await Promise.all(
        events.flatMap(({ event: stored, state }) => {
          if (!state) return []
          const told = all.filter(({ matches }) => matches(stored.type))
          if (told.length === 0) return []
          const event = toExtensionEvent(stored)
          return told.map((listener) => call(listener, event))
        }),
      )
    },
    async idle() {
      await within(DEFAULT_TIMEOUT_MS, Promise.all(underWay)).catch(() =>
        log.warn({ underWay: underWay.size }, 'listeners were left before they had ended'),
      )
    },
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

export const toExtensionEvent = (event: StoredEvent): ExtensionEvent => ({
  appId: event.appId,
  id: event.id,
  position: event.position,
  type: event.type,
  payload: JSON.parse(event.payload) as Record<string, unknown>,
  originEventId: event.originEventId,
  externalId: event.externalId,
  orgid: event.orgid,
  createdAt: event.createdAt,
})
