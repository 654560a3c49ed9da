import { pino, type Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type Log = Logger

/** Lines are gathered until there is this much of them, but no longer than this. */
const BUFFER_BYTES = 8_192
const FLUSH_MS = 100

/**
 * The process's logger: one JSON line per request, delivery and connection on standard output. Lines are
 * written in blocks, off the hot path; what is waiting is written when the process exits.
 *
 * What may carry a credential is never passed to it; the redaction here is the second line of defence.
 */
export function createLog(level: string, role: string): Log {
  return pino(
    {
      level,
      base: { role },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: ['authorization', 'apiKey', 'secret'], censor: '[redacted]' },
    },
    pino.destination({ sync: false, minLength: BUFFER_BYTES, periodicFlush: FLUSH_MS }),
  )
}
