import type { LogTail } from '../../events/index.ts'
import type { Emitter, Presence } from '../contracts.ts'
import { createAppHub, type AppHub, type Joined, type JoinOptions, type Membership } from './app-hub.ts'
import type { Connection } from './connection.ts'

/** Serves the rooms of every app to the observers of this process, over any transport. */
export interface Hub {
  /** See `AppHub.join`. The membership ends with its connection, if it was not left before. */
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
  forget(): void
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

  function acquire(appId: string) {
    let entry = apps.get(appId)
    if (!entry) {
      const forget = (): void => {
        if (apps.get(appId) === opened) apps.delete(appId)
      }
      const opening = createAppHub({ appId, logTail, bufferBytes, onLost: forget })
      const opened: Entry = { opening, users: 0, forget }
      opening.then((hub) => (opened.hub = hub), forget)
      apps.set(appId, (entry = opened))
    }
    entry.users += 1
    let isReleased = false
    return {
      opening: entry.opening,
      release: (): void => {
        if (isReleased) return
        isReleased = true
        entry.users -= 1
        if (entry.users > 0) return
        entry.forget()
        entry.hub?.close()
      },
    }
  }

  return {
    async join(appId, connection, join, onJoined) {
      const { opening, release } = acquire(appId)
      try {
        const hub = await opening
        const membership = await hub.join(connection, join, onJoined)
        if (!membership) {
          release()
          return undefined
        }
        const leave = (): void => {
          membership.leave()
          release()
        }
        const forget = connection.onGone(leave)
        return {
          ...membership,
          leave() {
            forget()
            leave()
          },
        }
      } catch (error) {
        release()
        throw error
      }
    },
    close() {
      for (const end of endings) end()
    },
  }
}
