import { EventEmitter } from 'node:events'
import type { Bus } from './port.ts'

/** The bus of an installation that is one process: the embedded default. */
export function createLocalBus(): Bus {
  const emitter = new EventEmitter()
  emitter.setMaxListeners(0)
  let closed = false
  return {
    get isReady() {
      return !closed
    },
    publish(topic, data) {
      setImmediate(() => emitter.emit(topic, data))
    },
    subscribe(topic, listener) {
      emitter.on(topic, listener)
      return () => emitter.off(topic, listener)
    },
    async close() {
      closed = true
      emitter.removeAllListeners()
    },
  }
}
