import { createLink } from './link.js'
import { begin, deliver } from './rooms.js'

/** A stream that is silent for so many heartbeats is dead. */
const MISSED_HEARTBEATS = 3

/**
 * Observes rooms over server-sent events. EventSource would come back with a token that is over, and to the same
 * URL: so every end is followed by a new one here, after the last id.
 *
 * @param options.after the position to begin after; from now on unless given
 * @returns ends it
 */
export function watch(
  options,

  handlers,
) {
  const { EventSource: Source = EventSource, presence = false, timeoutMs = 10_000 } = options
  const rooms = new Map(options.rooms.map((name) => [name, { handlers, last: options.after, begun: false }]))
  let { after } = options
  let source
  let late

  const link = createLink(options, (url, token) => {
    const query = new URLSearchParams({ rooms: options.rooms.join(), token })
    if (after !== undefined) query.set('after', String(after))
    if (presence) query.set('presence', 'true')
    const opened = (source = new Source(`${url}/observation/sse?${query.toString()}`))
    let farewell = {}
    let silenceMs = timeoutMs
    const on = (name, take) =>
      opened.addEventListener(name, (event) => {
        if (opened !== source || !('data' in event && 'lastEventId' in event)) return
        take(JSON.parse(String(event.data)), event.lastEventId)
        clearTimeout(late)
        if (opened === source) late = setTimeout(end, silenceMs)
      })
    const end = () => {
      clearTimeout(late)
      if (opened !== source) return
      opened.close()
      link.retry(farewell)
    }
    late = setTimeout(end, timeoutMs)
    on('joined', (data) => {
      const { rooms: joined, heartbeatSeconds } = data
      silenceMs = heartbeatSeconds * 1000 * MISSED_HEARTBEATS
      if (after === undefined || joined.some(({ recovered }) => !recovered))
        after = Math.min(...joined.map(({ position }) => position))
      link.opened()
      for (const room of joined) begin(rooms.get(room.room), room)
    })
    on('message', (data, id) => {
      const message = data
      // An id such as 41-1 says that more of position 41 follows: what of it was seen is left out the next time.
      const [position, part] = String(id).split('-')
      if (position) after = Number(position) - (part === undefined ? 0 : 1)
      deliver(rooms.get(message.room), message)
    })
    on('presence', (data) => handlers.onPresence?.(data))
    on('heartbeat', (_data, id) => {
      if (/^\d+$/.test(String(id))) after = Number(id)
    })
    on('closing', (data) => (farewell = data))
    opened.addEventListener('error', end)
  })

  void link.start()
  return () => {
    link.close({ reason: 'It was closed.' })
    clearTimeout(late)
    source?.close()
    source = undefined
  }
}
