import type { LogTail, Observer, Slice } from '../../events/index.ts'
import type { PresenceChange, RoomMessage } from '../contracts.ts'
import type { Connection } from './connection.ts'
import type { Encoding } from './encoding.ts'
import { createGroup, groupKey, type Group } from './group.ts'
import { Subscription, type Subscribers } from './subscription.ts'

/** What an observer asks for. */
export interface JoinOptions {
  rooms: readonly string[]
  /** Patterns of event types. */
  types: readonly string[]
  encoding: Encoding
  /** The position to go on from; undefined: the newest. */
  after: number | undefined
  /** How many messages of the event after that were given already. */
  given?: number
  onPresence?: ((change: PresenceChange) => void) | undefined
}

export interface Joined {
  /** The position that the rooms begin after. */
  position: number
  /** Why what followed the position asked for cannot be given; undefined when it follows. */
  lost: 'expired' | 'unknown' | undefined
}

/** An observer's hold of some rooms, to be left at latest when its connection is gone. */
export type Membership = Pick<Subscription, 'position' | 'setTypes' | 'leave'>

/** The rooms of one app in this process. */
export interface AppHub {
  /**
   * @param onJoined called before anything is given
   * @returns undefined when the connection is gone by now
   */
  join(
    connection: Connection,
    options: JoinOptions,
    onJoined: (joined: Joined) => void,
  ): Promise<Membership | undefined>
  /** Gives an ephemeral message to who is there. */
  give(message: RoomMessage): void
  tellPresence(change: PresenceChange): void
  close(): void
}

/**
 * Follows the log once for all observers of an app, and gives each group of them what is in its rooms: bytes are
 * made once per group, and events in rooms that nobody observes cost a look-up.
 *
 * An observer that resumes, or that does not read as fast as messages come, follows the log at its own place and
 * pace until it is where the others are: what waits for it stays in the log rather than in memory.
 */
export async function createAppHub(options: {
  appId: string
  logTail: LogTail
  /** Bytes that may wait for one observer. */
  bufferBytes: number
  /** Called when the log cannot be followed any more; the observers are sent away. */
  onLost(): void
  /** Called for each membership that is left. */
  onLeft(): void
}): Promise<AppHub> {
  const { appId, logTail, bufferBytes } = options
  const groups = new Map<string, Group<Subscription>>()
  const byRoom = new Map<string, Set<Group<Subscription>>>()
  let receivers = 0
  const tail = await logTail.observe(appId, undefined, {
    write: (slice) => giveSlice(slice),
    receivers: () => receivers,
    fail() {
      options.onLost()
      for (const { members } of groups.values()) for (const { connection } of members) connection.sendAway()
    },
  })

  function giveSlice(slice: Slice): true {
    receivers = 0
    const touched = new Set<Group<Subscription>>()
    for (const { rooms } of slice.events)
      for (const room of rooms) for (const group of byRoom.get(room) ?? []) touched.add(group)
    for (const group of touched) {
      const chunk = group.live.size > 0 && group.encode(slice)
      if (!chunk) continue
      receivers += group.live.size
      for (const subscription of group.live) {
        subscription.connection.write(chunk)
        if (subscription.connection.buffered() > bufferBytes) fallBehind(subscription)
      }
    }
    return true
  }

  function fallBehind(subscription: Subscription): void {
    const position = tail.position()
    subscription.group.live.delete(subscription)
    subscription.behind = { position: () => position, drained() {}, end() {} }
    follow(subscription, position).then(
      (observer) => begin(subscription, observer),
      () => subscription.connection.sendAway(),
    )
  }

  /** Has a subscription read the log at its own pace. */
  function follow(subscription: Subscription, after: number | undefined, given = 0): Promise<Observer> {
    let givenOfFirst = given
    return logTail.observe(appId, after, {
      write(slice) {
        const { group, connection } = subscription
        const chunk = givenOfFirst > 0 ? group.encodeFrom(slice, givenOfFirst) : group.encode(slice)
        givenOfFirst = 0
        const isTaken = !chunk || connection.write(chunk)
        goLive(subscription)
        return isTaken
      },
      fail: () => subscription.connection.sendAway(),
    })
  }

  function begin(subscription: Subscription, observer: Observer): void {
    if (subscription.isEnded) return observer.end()
    subscription.behind = observer
    if (goLive(subscription)) return
    subscription.stopDraining = subscription.connection.onDrain(() => observer.drained())
  }

  /** Joins the others where they are. @returns false when that is not where it is */
  function goLive(subscription: Subscription): boolean {
    const { behind, group, connection } = subscription
    if (!behind || behind.position() !== tail.position() || connection.buffered() > bufferBytes) return false
    stopFollowing(subscription)
    group.live.add(subscription)
    return true
  }

  function stopFollowing(subscription: Subscription): void {
    subscription.stopDraining?.()
    subscription.behind?.end()
    subscription.stopDraining = subscription.behind = undefined
  }

  function enter(subscription: Subscription): void {
    const { group } = subscription
    group.members.add(subscription)
    if (groups.get(group.key) === group) return
    groups.set(group.key, group)
    for (const room of group.rooms) {
      const observing = byRoom.get(room)
      if (observing) observing.add(group)
      else byRoom.set(room, new Set([group]))
    }
  }

  function exit(subscription: Subscription): void {
    const { group } = subscription
    group.members.delete(subscription)
    group.live.delete(subscription)
    if (group.members.size > 0 || groups.get(group.key) !== group) return
    groups.delete(group.key)
    for (const room of group.rooms) {
      const observing = byRoom.get(room)
      observing?.delete(group)
      if (observing?.size === 0) byRoom.delete(room)
    }
  }

  const groupOf = (
    encoding: Encoding,
    rooms: readonly string[],
    types: readonly string[],
  ): Group<Subscription> =>
    groups.get(groupKey(encoding, rooms, types)) ?? createGroup(encoding, rooms, types)

  const subscribers: Subscribers = {
    position: () => tail.position(),
    setTypes(subscription, types) {
      const { group } = subscription
      const isLive = group.live.has(subscription)
      exit(subscription)
      subscription.group = groupOf(group.encoding, [...group.rooms], types)
      enter(subscription)
      if (isLive) subscription.group.live.add(subscription)
    },
    leave(subscription) {
      stopFollowing(subscription)
      exit(subscription)
      options.onLeft()
    },
  }

  return {
    async join(connection, { rooms, types, encoding, after, given, onPresence }, onJoined) {
      const group = groupOf(encoding, rooms, types)
      const subscription = new Subscription(subscribers, connection, group, onPresence)
      const isHeld = after === undefined || (await logTail.holds(appId, after))
      const observer = await follow(subscription, isHeld ? after : undefined, given)
      if (connection.isGone()) {
        observer.end()
        return undefined
      }
      // It may have been made by another observer meanwhile.
      subscription.group = groupOf(encoding, rooms, types)
      enter(subscription)
      const isKnown = after === undefined || !isHeld || observer.position() >= after
      onJoined({
        position: observer.position(),
        lost: isHeld ? (isKnown ? undefined : 'unknown') : 'expired',
      })
      begin(subscription, observer)
      return subscription
    },

    give(message) {
      const chunks = new Map<Encoding, Buffer>()
      for (const { encoding, members } of byRoom.get(message.room) ?? []) {
        let chunk = chunks.get(encoding)
        if (!chunk) chunks.set(encoding, (chunk = encoding.message(message)))
        for (const { connection } of members) {
          connection.write(chunk)
          // What is not in the log cannot wait there.
          if (connection.buffered() > bufferBytes) connection.sendAway()
        }
      }
    },

    tellPresence(change) {
      for (const group of byRoom.get(change.room) ?? [])
        for (const { onPresence } of group.members) onPresence?.(change)
    },

    close() {
      tail.end()
    },
  }
}
