/** What an evaluator's process is told and what it answers. */
export interface Request {
  expression: string
  input: string
}

/** The first message of an evaluator's process, before any request. */
export const READY = 'ready'

export type Answer = { output: string } | { error: string }

/** Settings of an evaluator, its one argument as JSON text. */
export interface EvaluatorSettings {
  timeMs: number
  memoryMb: number
  outputBytes: number
}

export function isAnswer(message: unknown): message is Answer {
  if (typeof message !== 'object' || message === null) return false
  return (
    ('output' in message && typeof message.output === 'string') ||
    ('error' in message && typeof message.error === 'string')
  )
}
