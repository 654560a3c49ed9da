/** A room as its observer has it. */

/** Takes a room's beginning: after a reconnect it is where it was, unless what followed is not there any more. */
export function begin(room, joined) {
  const { recovered, position } = joined
  if (!room) return
  room.last = recovered ? Math.max(room.last ?? 0, position) : position
  room.begun = true
  if (!recovered) room.handlers.onLost?.(joined)
  room.handlers.onJoined?.(joined)
}

/** Gives each message on once. */
export function deliver(room, message) {
  if (!room?.begun) return
  if (message.position !== null) {
    if (message.position <= (room.last ?? 0)) return
    room.last = message.position
  }
  room.handlers.onMessage(message)
}
