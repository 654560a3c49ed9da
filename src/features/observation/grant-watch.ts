import type { Bus } from '../../platform/bus/port.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Log } from '../../platform/log.ts'
import { repeat } from '../../platform/repeat.ts'
import type { KeyFinder } from '../apps/index.ts'
import type { Grant } from './contracts.ts'

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

interface Watching {
  end(reason: GrantEnd): void
  stop(): void
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

  const endAllOf = (keyId: string): void => {
    for (const watching of byKey.get(keyId) ?? []) watching.end('revoked')
  }

  function watch(first: Grant, onEnd: (reason: GrantEnd) => void): Watched {
    let grant: Grant | undefined
    let timer: NodeJS.Timeout | undefined
    const watching: Watching = { end, stop }

    function stop(): void {
      clearTimeout(timer)
      if (!grant) return
      const ofKey = byKey.get(grant.keyId)
      ofKey?.delete(watching)
      if (ofKey?.size === 0) byKey.delete(grant.keyId)
      grant = undefined
    }

    function end(reason: GrantEnd): void {
      if (!grant) return
      stop()
      onEnd(reason)
    }

    function waitForExpiry(expiresAt: number): void {
      const leftMs = Math.min(Math.max(expiresAt - clock.now(), 0), LONGEST_TIMER_MS)
      timer = setTimeout(() => {
        if (clock.now() >= expiresAt) end('expired')
        else waitForExpiry(expiresAt)
      }, leftMs).unref()
    }

    function begin(next: Grant): void {
      grant = next
      const ofKey = byKey.get(next.keyId)
      if (ofKey) ofKey.add(watching)
      else byKey.set(next.keyId, new Set([watching]))
      if (next.expiresAt !== undefined) waitForExpiry(next.expiresAt)
      // It may have been revoked since it was last looked at, before this was told of it.
      keys.findById(next.keyId).then(
        (key) => {
          if (!key && grant === next) end('revoked')
        },
        (error: Error) => log.warn({ error: error.message }, 'key of an observer not looked up'),
      )
    }

    begin(first)
    return {
      replace(next) {
        if (!grant) return
        stop()
        begin(next)
      },
      stop,
    }
  }

  const unsubscribe = bus.subscribe('key.revoked', (keyId) => endAllOf(String(keyId)))
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
    watch,
    async close() {
      unsubscribe()
      for (const ofKey of byKey.values()) for (const watching of ofKey) watching.stop()
      await rechecking.close()
    },
  }
}
