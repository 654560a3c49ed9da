import { pino, type Logger } from 'pino'
import { createLogBlocks } from './log-blocks.ts'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type Log = Logger

/**
 * The process's logger: one JSON line per request, delivery and connection on standard output, in blocks.
 *
 * What may carry a credential is never passed to it; the redaction here is the second line of defence.
 */
export function createLog(level: string, role: string): Log {
  return pino(
    {
      level,
      base: { role },
      timestamp: createTimestamp(),
      redact: { paths: ['authorization', 'apiKey', 'secret'], censor: '[redacted]' },
    },
    createLogBlocks(),
  )
}

/** The time as a member of a line, made once for all lines of a millisecond. */
function createTimestamp(): () => string {
  let madeAt = Number.NaN
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== madeAt) {
      madeAt = now
      text = `,"time":"${new Date(now).toISOString()}"`
    }
    return text
  }
}
