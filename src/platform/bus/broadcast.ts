import { LRUCache } from 'lru-cache'
import type { Log } from '../log/log.ts'
import type { Bus } from './port.ts'

/** A packet takes so many items, and so many characters of them: at most 384 KiB, which every bus carries. */
const MAX_PACKET_ITEMS = 500
const MAX_PACKET_CHARACTERS = 131_072
/** More than this in one tick is dropped. */
const MAX_WAITING_ITEMS = 20_000
const MAX_WAITING_CHARACTERS = 16 * 1024 * 1024
/** Processes whose last packet is remembered. */
const MAX_SENDERS = 4_096
/** Drops are told of at most this often. */
const TELL_EVERY_MS = 10_000

/** Items to every process, at most once each, those of one process in their order. */
export interface Broadcast<Item> {
  /** Never throws and never waits: it goes out at the end of the tick. */
  send(item: Item): void
  /** Gives out at once what is waiting. */
  flush(): void
  /** @returns a function that ends it */
  onItem(listener: (item: Item) => void): () => void
}

export interface BroadcastOptions<Item> {
  bus: Bus
  topic: string
  /** How long an item is in JSON, about, in characters. */
  size(item: Item): number
  /** Whether items are dropped for the other processes, rather than sent late, while the bus is not ready. */
  dropUnlessReady: boolean
  log: Log
}

/** What goes over the bus. */
interface Packet<Item> {
  from: string
  /** One more than that of the sender's packet before: a bus that sends one again after an error is noticed. */
  number: number
  items: readonly Item[]
}

/**
 * Gathers what is sent within a tick. This process has it at the end of the tick, without the bus, and the
 * others have it in packets.
 */
export function createBroadcast<Item>(options: BroadcastOptions<Item>): Broadcast<Item> {
  const { bus, topic, log } = options
  const from = crypto.randomUUID()
  const listeners = new Set<(item: Item) => void>()
  const lastNumbers = new LRUCache<string, number>({ max: MAX_SENDERS })
  let number = 0
  let waiting: Item[] = []
  let waitingCharacters = 0
  let scheduled: NodeJS.Immediate | undefined
  let dropped = 0
  let toldAt = -Infinity

  bus.subscribe(topic, (data) => {
    const packet = data as Packet<Item>
    if (packet.from === from || packet.number <= (lastNumbers.get(packet.from) ?? 0)) return
    lastNumbers.set(packet.from, packet.number)
    for (const item of packet.items) deliver(item)
  })

  function deliver(item: Item): void {
    for (const listener of listeners) {
      try {
        listener(item)
      } catch (error) {
        log.error({ topic, error: (error as Error).message }, 'a listener failed')
      }
    }
  }

  function drop(count: number): void {
    dropped += count
    if (performance.now() - toldAt < TELL_EVERY_MS) return
    toldAt = performance.now()
    log.warn({ topic, dropped }, 'live messages were dropped')
    dropped = 0
  }

  function publish(items: readonly Item[]): void {
    if (options.dropUnlessReady && !bus.isReady) return drop(items.length)
    number += 1
    bus.publish(topic, { from, number, items } satisfies Packet<Item>, { inOrder: true })
  }

  function flush(): void {
    clearImmediate(scheduled)
    scheduled = undefined
    const items = waiting
    waiting = []
    waitingCharacters = 0
    let packet: Item[] = []
    let characters = 0
    for (const item of items) {
      const itemCharacters = options.size(item)
      const full = packet.length === MAX_PACKET_ITEMS || characters + itemCharacters > MAX_PACKET_CHARACTERS
      if (packet.length > 0 && full) {
        publish(packet)
        packet = []
        characters = 0
      }
      packet.push(item)
      characters += itemCharacters
    }
    if (packet.length > 0) publish(packet)
    for (const item of items) deliver(item)
  }

  return {
    send(item) {
      const characters = options.size(item)
      if (
        waiting.length >= MAX_WAITING_ITEMS ||
        (waiting.length > 0 && waitingCharacters + characters > MAX_WAITING_CHARACTERS)
      ) {
        return drop(1)
      }
      waiting.push(item)
      waitingCharacters += characters
      scheduled ??= setImmediate(flush)
    },
    flush,
    onItem(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
