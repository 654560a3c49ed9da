export interface Member {
  id: string
  info: unknown
}

export interface RoomMessage {
  room: string
  topic: string
  data: unknown
  /** Its place in the log; null for an ephemeral message, which is given at most once. */
  position: number | null
  event?: { id: string; type: string; createdAt: string }
  ephemeral?: true
}

export interface PresenceChange {
  room: string
  change: 'join' | 'leave'
  member: Member
}

export interface Joined {
  room: string
  /** Messages after this one follow. */
  position: number
  recovered: boolean
  /** The log no longer holds what was missed, or is shorter than that: restored from a backup. */
  reason?: 'expired' | 'unknown'
  /** Who is there, where presence was asked for. */
  members?: Member[]
}

export interface RoomHandlers {
  /** Each event of the room once, in order; an ephemeral message at most once. */
  onMessage(message: RoomMessage): void
  onPresence?(change: PresenceChange): void
  /** After each time that the room was joined, the first one and every reconnect. */
  onJoined?(joined: Joined): void
  /** Messages are missing and will not come: read anew what the page shows. `onJoined` follows. */
  onLost?(joined: Joined): void
  /** The room may not be joined; it is left. Over server-sent events this cannot be told from a failure. */
  onRefused?(error: { code: string; detail: string }): void
}

/** A room as its observer has it. */
export interface Room {
  handlers: Omit<RoomHandlers, 'onRefused'>
  /** The position of the last message that was given on. */
  last: number | undefined
  /** Whether the server has answered with where it begins. */
  begun: boolean
}

/** Takes a room's beginning: after a reconnect it is where it was, unless what followed is not there any more. */
export function begin(room: Room | undefined, joined: Joined): void {
  const { recovered, position } = joined
  if (!room) return
  room.last = recovered ? Math.max(room.last ?? 0, position) : position
  room.begun = true
  if (!recovered) room.handlers.onLost?.(joined)
  room.handlers.onJoined?.(joined)
}

/** Gives each message on once. */
export function deliver(room: Room | undefined, message: RoomMessage): void {
  if (!room?.begun) return
  if (message.position !== null) {
    if (message.position <= (room.last ?? 0)) return
    room.last = message.position
  }
  room.handlers.onMessage(message)
}
