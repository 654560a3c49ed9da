import { pino, type Logger } from 'pino'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type Log = Logger

/**
 * The process's logger: one JSON line per request, delivery and connection on standard output.
 *
 * What may carry a credential is never passed to it; the redaction here is the second line of defence.
 */
export function createLog(level: string, role: string): Log {
  return pino({
    level,
    base: { role },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ['*.authorization', '*.apiKey', '*.secret'], censor: '[redacted]' },
  })
}
