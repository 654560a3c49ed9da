/** What an observer may do. */
export interface Grant {
  appId: string
  /** The API key that it comes from; once that is revoked, the grant is void. */
  keyId: string
  /** Patterns of rooms that may be joined. */
  rooms: readonly string[]
  /** Patterns of event types whose messages are given; ephemeral messages are not asked. */
  types: readonly string[]
  /** Patterns of rooms that may be published to. */
  publish: readonly string[]
  /** As whom the observer is present in the rooms it joins; null: as nobody. */
  member: Member | null
  /** Milliseconds since the Unix epoch; undefined: it does not end by itself. */
  expiresAt: number | undefined
}

export interface Member {
  id: string
  /** JSON text of anything that the others may know. */
  info: string | null
}

/** A message that is no event: it is given at most once, and to those only who observe at the moment. */
export interface RoomMessage {
  appId: string
  room: string
  topic: string
  /** JSON text. */
  data: string
}

export interface PresenceChange {
  appId: string
  room: string
  change: 'join' | 'leave'
  member: Member
}

/** Who is in the rooms, over all processes. A member with several connections is in a room once. */
export interface Presence {
  /** Does not wait and does not fail: what is not recorded is recorded later. */
  enter(appId: string, room: string, connectionId: string, member: Member): void
  leave(appId: string, room: string, connectionId: string, member: Member): void
  /** @returns in the order of their ids, `limit` at most */
  list(appId: string, room: string, limit: number): Promise<Member[]>
  /** Told of the changes in every room, once per member and change. @returns a function that ends it */
  onChange(listener: (change: PresenceChange) => void): () => void
  close(): Promise<void>
}

/**
 * Gives ephemeral messages to rooms, in every process. Never awaited, never throws: one that is not ready, or one
 * room that fails, fails neither the request nor the other rooms (SPEC section 4).
 */
export interface Emitter {
  readonly identifier: 'outreach-ws-emitter'
  readonly isReady: boolean
  emit(message: { appId: string; rooms: readonly string[]; topic: string; data: string }): void
  onMessage(listener: (message: RoomMessage) => void): () => void
}
