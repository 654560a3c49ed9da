import type { Bus } from '../../../platform/bus/port.ts'
import type { Clock } from '../../../platform/time/clock.ts'
import type { Log } from '../../../platform/log/log.ts'
import { repeat } from '../../../platform/time/repeat.ts'
import { KEY_REVOKED, type KeyFinder } from '../../apps/index.ts'
import type { Grant } from '../contracts.ts'

/** How often all watched keys are looked up, since the bus may lose a message. */
const RECHECK_MS = 30_000
/** The clock is looked at this often, since it may be set, and since a timer runs for less than 2^31 ms. */
const LONGEST_TIMER_MS = 60_000

export type GrantEnd = 'expired' | 'revoked'

export interface Watched {
  /** From now on this grant counts, for example one of a new token. Without effect once the watch is over. */
  replace(grant: Grant): void
  stop(): void
}

export interface GrantWatch {
  /**
   * Waits for a grant to end.
   *
   * @param onEnd called once at most, never before this returns; it must not throw. The watch is over then.
   */
  watch(grant: Grant, onEnd: (reason: GrantEnd) => void): Watched
  /** Ends all watches without a word. */
  close(): Promise<void>
}

interface WatchOptions {
  keys: KeyFinder
  bus: Bus
  clock: Clock
  log: Log
  /** Milliseconds; 30 s unless given. */
  recheckMs?: number
}

/** Watches the grants of all live connections of this process. */
export function createGrantWatch({
  keys,
  bus,
  clock,
  log,
  recheckMs = RECHECK_MS,
}: WatchOptions): GrantWatch {
  const byKey = new Map<string, Set<Watching>>()
  /** Those whose grants end by themselves: one timer for all, set to the first end or before. */
  const ending = new Set<Watching>()
  let timer: NodeJS.Timeout | undefined
  let timerEnds = Infinity

  const endAllOf = (keyId: string): void => {
    for (const watching of byKey.get(keyId) ?? []) watching.end('revoked')
  }

  function waitForExpiry(expiresAt: number): void {
    if (expiresAt >= timerEnds) return
    timerEnds = expiresAt
    clearTimeout(timer)
    const leftMs = Math.min(Math.max(expiresAt - clock.now(), 0), LONGEST_TIMER_MS)
    timer = setTimeout(endExpired, leftMs).unref()
  }

  function endExpired(): void {
    timerEnds = Infinity
    const now = clock.now()
    let next = Infinity
    for (const watching of ending) {
      const { expiresAt = Infinity } = watching.grant ?? {}
      if (expiresAt <= now) watching.end('expired')
      else next = Math.min(next, expiresAt)
    }
    waitForExpiry(next)
  }

  const watches: Watches = {
    begin(watching, grant) {
      const ofKey = byKey.get(grant.keyId)
      if (ofKey) ofKey.add(watching)
      else byKey.set(grant.keyId, new Set([watching]))
      if (grant.expiresAt !== undefined) {
        ending.add(watching)
        waitForExpiry(grant.expiresAt)
      }
      // It may have been revoked since it was last looked at, before this was told of it.
      keys.findById(grant.keyId).then(
        (key) => {
          if (!key && watching.grant === grant) watching.end('revoked')
        },
        (error: Error) => log.warn({ error: error.message }, 'key of an observer not looked up'),
      )
    },
    stop(watching, { keyId }) {
      ending.delete(watching)
      const ofKey = byKey.get(keyId)
      ofKey?.delete(watching)
      if (ofKey?.size === 0) byKey.delete(keyId)
    },
  }

  const unsubscribe = bus.subscribe(KEY_REVOKED, (keyId) => endAllOf(String(keyId)))
  const rechecking = repeat(
    async () => {
      if (byKey.size === 0) return false
      const revoked = await keys.findRevoked([...byKey.keys()])
      revoked.forEach(endAllOf)
      return false
    },
    {
      intervalMs: recheckMs,
      onError: (error) => log.warn({ error: error.message }, 'keys of observers not looked up'),
    },
  )

  return {
    watch: (grant, onEnd) => new Watching(watches, grant, onEnd),
    async close() {
      unsubscribe()
      clearTimeout(timer)
      for (const ofKey of byKey.values()) for (const watching of ofKey) watching.stop()
      await rechecking.close()
    },
  }
}

/** What all watches of a process have together. */
interface Watches {
  begin(watching: Watching, grant: Grant): void
  stop(watching: Watching, grant: Grant): void
}

/** One per connection: of a class, whose functions are there once. */
class Watching implements Watched {
  readonly #watches: Watches
  readonly #onEnd: (reason: GrantEnd) => void
  /** Undefined once the watch is over. */
  grant: Grant | undefined

  constructor(watches: Watches, grant: Grant, onEnd: (reason: GrantEnd) => void) {
    this.#watches = watches
    this.#onEnd = onEnd
    this.#begin(grant)
  }

  replace(grant: Grant): void {
    if (!this.grant) return
    this.stop()
    this.#begin(grant)
  }

  stop(): void {
    if (!this.grant) return
    this.#watches.stop(this, this.grant)
    this.grant = undefined
  }

  end(reason: GrantEnd): void {
    if (!this.grant) return
    this.stop()
    this.#onEnd(reason)
  }

  #begin(grant: Grant): void {
    this.grant = grant
    this.#watches.begin(this, grant)
  }
}
