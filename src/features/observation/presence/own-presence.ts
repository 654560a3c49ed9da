import type { Member } from '../contracts.ts'
import type { PresenceRow, PresenceWrite, StoredChange } from './presence-store.ts'

/** What this process says of one of its connections in one room. */
interface Connection {
  appId: string
  room: string
  memberId: string
  connectionId: string
  info: string | null
  /** Whether it is in the room; one that is not is kept until its row is gone. */
  present: boolean
  /** Whether it has a row in the database; `unsure` while a statement is under way and after one that failed. */
  row: 'none' | 'there' | 'unsure'
  /** Whether nobody was told that it left, so that nobody is told that it joined when its row is made anew. */
  isSilent: boolean
}

/** A connection to be written, as it was when it was taken. */
export interface Due {
  readonly connection: Connection
  readonly write: PresenceWrite
  readonly isSilent: boolean
}

/** What is present through this process, and what of it is to be written. */
export interface OwnPresence {
  enter(appId: string, room: string, connectionId: string, member: Member): void
  leave(appId: string, room: string, connectionId: string, member: Member): void
  leaveAll(): void
  hasDue(): boolean
  /** The oldest that are to be written, so many at most. They are given back, or `wrote` is told of them. */
  take(count: number): Due[]
  wrote(taken: readonly Due[]): void
  /** Those of them that were not written are to be written again. */
  giveBack(taken: readonly Due[]): void
  /** It cannot be written. */
  forget(taken: Due): void
  /** @returns whether the member is here, so that it is written again, after somebody told that it left */
  tellAgain(appId: string, room: string, memberId: string): boolean
  /** How many rows there should be in the database; undefined when that is not sure. */
  recorded(): number | undefined
  /**
   * Has what is missing in the database written again, and what should not be there removed.
   *
   * @param rows what is there; nothing of this process was written since
   * @param isTold whether the others were told that those who are missing left
   */
  mend(rows: readonly PresenceRow[], isTold: boolean): void
}

/** Names of rooms and ids of apps have no spaces. */
const memberKey = (appId: string, room: string, memberId: string): string => `${appId} ${room} ${memberId}`

export function createOwnPresence(): OwnPresence {
  const members = new Map<string, Map<string, Connection>>()
  const due = new Set<Connection>()

  const find = (appId: string, room: string, memberId: string, connectionId: string) =>
    members.get(memberKey(appId, room, memberId))?.get(connectionId)

  function findOrAdd(row: PresenceRow): Connection {
    const key = memberKey(row.appId, row.room, row.memberId)
    let connections = members.get(key)
    if (!connections) members.set(key, (connections = new Map()))
    let connection = connections.get(row.connectionId)
    if (!connection) {
      connection = { ...row, info: null, present: false, row: 'none', isSilent: false }
      connections.set(row.connectionId, connection)
    }
    return connection
  }

  function remove(connection: Connection): void {
    const key = memberKey(connection.appId, connection.room, connection.memberId)
    const connections = members.get(key)
    connections?.delete(connection.connectionId)
    if (connections?.size === 0) members.delete(key)
    due.delete(connection)
  }

  function setAbsent(connection: Connection): void {
    connection.present = false
    if (connection.row === 'none') remove(connection)
    else due.add(connection)
  }

  function* all(): Generator<Connection> {
    for (const connections of members.values()) yield* connections.values()
  }

  return {
    enter(appId, room, connectionId, { id, info }) {
      const connection = findOrAdd({ appId, room, memberId: id, connectionId })
      connection.present = true
      connection.info = info
      connection.isSilent = false
      due.add(connection)
    },
    leave(appId, room, connectionId, { id }) {
      const connection = find(appId, room, id, connectionId)
      if (connection) setAbsent(connection)
    },
    leaveAll() {
      for (const connection of all()) setAbsent(connection)
    },
    hasDue: () => due.size > 0,
    take(count) {
      const taken: Due[] = []
      for (const connection of due) {
        if (taken.length === count) break
        const { appId, room, memberId, connectionId, info, present, isSilent } = connection
        taken.push({ connection, write: { appId, room, memberId, connectionId, info, present }, isSilent })
        connection.row = 'unsure'
        due.delete(connection)
      }
      return taken
    },
    wrote(taken) {
      for (const { connection, write } of taken) {
        connection.row = write.present ? 'there' : 'none'
        if (!write.present && !connection.present) remove(connection)
      }
    },
    giveBack(taken) {
      for (const { connection } of taken) if (connection.row === 'unsure') due.add(connection)
    },
    forget({ connection }) {
      connection.row = 'none'
      remove(connection)
    },
    tellAgain(appId, room, memberId) {
      let isHere = false
      for (const connection of members.get(memberKey(appId, room, memberId))?.values() ?? []) {
        if (!connection.present || connection.row !== 'there') continue
        connection.isSilent = false
        due.add(connection)
        isHere = true
      }
      return isHere
    },
    recorded() {
      let count = 0
      for (const { row } of all()) {
        if (row === 'unsure') return undefined
        if (row === 'there') count += 1
      }
      return count
    },
    mend(rows, isTold) {
      const missing = new Set([...all()].filter(({ row }) => row === 'there'))
      for (const row of rows) {
        const connection = findOrAdd(row)
        missing.delete(connection)
        if (connection.row === 'there') continue
        connection.row = 'unsure'
        due.add(connection)
      }
      for (const connection of missing) {
        connection.row = 'none'
        if (!connection.present) {
          remove(connection)
          continue
        }
        connection.isSilent = !isTold
        due.add(connection)
      }
    },
  }
}

/**
 * Whether a change is only that rows were made anew which the database had lost.
 *
 * @param written what was written when it came about
 */
export function isMendedOnly(
  { change, appId, room, member }: StoredChange,
  written: readonly Due[],
): boolean {
  if (change === 'leave') return false
  return written
    .filter(
      ({ write }) =>
        write.present && write.memberId === member.id && write.room === room && write.appId === appId,
    )
    .every(({ isSilent }) => isSilent)
}
