import { pino, type DestinationStream } from 'pino'

/** Lines are gathered until there are so many characters of them, but no longer than this. */
const BLOCK_CHARACTERS = 16_384
const FLUSH_MS = 100

const passAll = new Set<() => void>()
// Registered before pino's own listeners, which then write what they were passed.
for (const ending of ['beforeExit', 'exit']) process.on(ending, () => passAll.forEach((pass) => pass()))

/**
 * Standard output, written in blocks of lines off the hot path; what is waiting is written when the process exits.
 * A process that says nothing is not woken.
 *
 * Pino's own buffering measures all that it holds anew at every line, which costs more than making the line.
 */
export function createLogBlocks(): DestinationStream & { flushSync(): void } {
  const output = pino.destination({ sync: false })
  let block = ''
  let flushing: NodeJS.Timeout | undefined

  function pass(): void {
    if (block === '') return
    output.write(block)
    block = ''
  }

  function flush(): void {
    flushing = undefined
    pass()
  }

  passAll.add(pass)
  return {
    write(line) {
      block += line
      flushing ??= setTimeout(flush, FLUSH_MS).unref()
      if (block.length >= BLOCK_CHARACTERS) pass()
    },
    /** Pino calls it after a fatal line. */
    flushSync() {
      pass()
      output.flushSync()
    },
  }
}
