import { createBroadcast } from '../../../platform/bus/broadcast.ts'
import type { Bus } from '../../../platform/bus/port.ts'
import type { Log } from '../../../platform/log/log.ts'
import type { Emitter, RoomMessage } from '../contracts.ts'
import { declared } from '../declared.ts'
import { isRoom } from '../../../platform/rooms/names.ts'

/** SPEC section 4. */
const IDENTIFIER = 'outreach-ws-emitter'

/** A message to several rooms; its data goes over the bus once. */
type Emission = Parameters<Emitter['emit']>[0]

/**
 * The emitter over the bus between processes. Observers in this process have a message at the end of the tick,
 * also while the bus is not ready; those in other processes then do not get it.
 *
 * Events do not go through it: rooms read them from the log, in order and without gaps, and the bus does no
 * more than say that a log grew (`log.grew`).
 */
export function createEmitter({ bus, log }: { bus: Bus; log: Log }): Emitter {
  const listeners = new Set<(message: RoomMessage) => void>()
  const broadcast = createBroadcast<Emission>({
    bus,
    topic: declared.topics.message,
    size: ({ rooms, topic, data }) =>
      rooms.reduce((sum, room) => sum + room.length + 3, 100 + topic.length + data.length),
    dropUnlessReady: true,
    log,
  })
  broadcast.onItem(({ rooms, ...message }) => {
    for (const room of rooms) for (const listener of listeners) give(listener, { ...message, room })
  })

  /** A room that fails is logged; the others get the message. */
  function give(listener: (message: RoomMessage) => void, message: RoomMessage): void {
    try {
      listener(message)
    } catch (error) {
      const { appId, room } = message
      log.error(
        { emitter: IDENTIFIER, appId, room, error: (error as Error).message },
        'a room did not take a message',
      )
    }
  }

  return {
    identifier: IDENTIFIER,
    get isReady() {
      return bus.isReady
    },
    emit({ appId, rooms, topic, data }) {
      const named = [...new Set(rooms)]
      const valid = named.filter(isRoom)
      if (valid.length < named.length) {
        const wrong = named.filter((room) => !valid.includes(room))
        log.warn({ emitter: IDENTIFIER, appId, rooms: wrong }, 'these are no rooms; they were left out')
      }
      if (valid.length > 0) broadcast.send({ appId, rooms: valid, topic, data })
    },
    onMessage(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
