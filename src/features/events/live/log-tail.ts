import type { Bus } from '../../../platform/bus/port.ts'
import type { Log } from '../../../platform/log/log.ts'
import { declared } from '../declared.ts'
import type { StoredEvents } from '../event.ts'
import type { EventReader } from '../reads.ts'
import { createAppTail, type AppTail, type Observer, type Sink } from './app-tail.ts'

/** How often logs with observers are looked at, should a wake-up have been lost. */
const POLL_MS = 1_000
/** Wake-ups to other processes are gathered for this long. */
const PUBLISH_EVERY_MS = 10
/** How long a log without observers is still followed, for those that reconnect. */
const KEEP_MS = 30_000

/**
 * Follows the logs of apps that have observers in this process: each is read once however many observers it
 * has, and each observer gets every event after the position it begins at, in order, once.
 */
export interface LogTail {
  /**
   * @param after the position to go on from, or undefined to begin with the next event
   * @returns the observer, and the position it begins after
   */
  observe(appId: string, after: number | undefined, sink: Sink): Promise<Observer>
  /** Whether the log still holds everything that follows a position, which may lie beyond its end. */
  holds(appId: string, position: number): Promise<boolean>
  /** Tells of events that this process stored: its own observers now, the other processes within milliseconds. */
  stored(appends: readonly StoredEvents[]): void
  close(): void
}

export function createLogTail(reader: EventReader, bus: Bus, log: Log): LogTail {
  const tails = new Map<string, { tail: AppTail; idleSince: number | undefined }>()
  const processId = crypto.randomUUID()
  let dirty = new Set<string>()
  let publishing: NodeJS.Timeout | undefined
  let unsubscribe: (() => void) | undefined
  let isLooking = false

  /** A process that follows no log is not told of any: most of what it got would be its own appends. */
  function listen(): void {
    unsubscribe ??= bus.subscribe(declared.topics.grew, (message) => {
      const { from, apps } = message as { from: string; apps: string[] }
      if (from === processId) return
      for (const appId of apps) tails.get(appId)?.tail.wake()
    })
  }

  function stopListening(): void {
    unsubscribe?.()
    unsubscribe = undefined
  }

  const poll = setInterval(() => {
    const unread: string[] = []
    for (const [appId, entry] of tails) {
      if (entry.tail.observers > 0) {
        entry.idleSince = undefined
        if (entry.tail.isUnread(POLL_MS)) unread.push(appId)
      } else {
        entry.idleSince ??= Date.now()
        if (Date.now() - entry.idleSince > KEEP_MS) tails.delete(appId)
      }
    }
    if (unread.length > 0) void look(unread)
    if (tails.size === 0) stopListening()
  }, POLL_MS)

  /** One query for all logs: nearly always there is nothing more to read. */
  async function look(appIds: readonly string[]): Promise<void> {
    if (isLooking) return
    isLooking = true
    try {
      for (const { appId, head } of await reader.heads(appIds)) tails.get(appId)?.tail.goesTo(head)
    } catch (error) {
      log.warn({ error: (error as Error).message }, 'the logs could not be looked at')
    } finally {
      isLooking = false
    }
  }

  function publish(): void {
    publishing = undefined
    if (dirty.size === 0) return
    // While it is not, the others see by their polls; what is sent late would only be in the way.
    if (bus.isReady) bus.publish(declared.topics.grew, { from: processId, apps: [...dirty] })
    dirty = new Set()
    publishing = setTimeout(publish, PUBLISH_EVERY_MS)
  }

  return {
    async observe(appId, after, sink) {
      let entry = tails.get(appId)
      if (!entry) {
        listen()
        const head = await reader.head(appId)
        entry = tails.get(appId)
        if (!entry) {
          entry = { tail: createAppTail({ appId, head, reader, log }), idleSince: undefined }
          tails.set(appId, entry)
          listen() // the last of the others may have been let go meanwhile
        }
      }
      entry.idleSince = undefined
      await entry.tail.advance()
      // Events that this process stored itself may have been taken before those of others that came first.
      const place = after ?? 0
      if (place > entry.tail.readTo && place <= (await reader.head(appId))) await entry.tail.advanceTo(place)
      return entry.tail.observe(after, sink)
    },
    async holds(appId, position) {
      if (tails.get(appId)?.tail.covers(position)) return true
      return position + 1 >= (await reader.oldest(appId))
    },
    stored(appends) {
      for (const { appId, events } of appends) {
        tails.get(appId)?.tail.hand(events)
        dirty.add(appId)
      }
      if (!publishing) publish()
    },
    close() {
      clearInterval(poll)
      clearTimeout(publishing)
      stopListening()
      tails.clear()
    },
  }
}
