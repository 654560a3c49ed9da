import type { LogTail } from '../../events/index.ts'
import type { Emitter, Presence } from '../contracts.ts'
import { createAppHub, type AppHub, type Joined, type JoinOptions, type Membership } from './app-hub.ts'
import type { Connection } from './connection.ts'

/** Serves the rooms of every app to the observers of this process, over any transport. */
export interface Hub {
  /** See `AppHub.join`. */
  join(
    appId: string,
    connection: Connection,
    options: JoinOptions,
    onJoined: (joined: Joined) => void,
  ): Promise<Membership | undefined>
  close(): void
}

interface Entry {
  opening: Promise<AppHub>
  hub?: AppHub
  /** Memberships, and those about to be. */
  users: number
  /** One of them is no more. */
  release(): void
}

export function createHub(options: {
  logTail: LogTail
  emitter: Emitter
  presence: Presence
  /** Bytes that may wait for one observer. */
  bufferBytes: number
}): Hub {
  const { logTail, bufferBytes } = options
  /** An app that nobody observes is not followed. */
  const apps = new Map<string, Entry>()

  const endings = [
    options.emitter.onMessage((message) => apps.get(message.appId)?.hub?.give(message)),
    options.presence.onChange((change) => apps.get(change.appId)?.hub?.tellPresence(change)),
  ]

  function open(appId: string): Entry {
    const forget = (): void => {
      if (apps.get(appId) === entry) apps.delete(appId)
    }
    const release = (): void => {
      entry.users -= 1
      if (entry.users > 0) return
      forget()
      entry.hub?.close()
    }
    const opening = createAppHub({ appId, logTail, bufferBytes, onLost: forget, onLeft: release })
    const entry: Entry = { opening, users: 0, release }
    opening.then((hub) => (entry.hub = hub), forget)
    apps.set(appId, entry)
    return entry
  }

  return {
    async join(appId, connection, join, onJoined) {
      const entry = apps.get(appId) ?? open(appId)
      entry.users += 1
      try {
        const hub = await entry.opening
        const membership = await hub.join(connection, join, onJoined)
        if (!membership) entry.release()
        return membership
      } catch (error) {
        entry.release()
        throw error
      }
    },
    close() {
      for (const end of endings) end()
    },
  }
}
