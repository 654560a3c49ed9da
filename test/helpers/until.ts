import { setTimeout as wait } from 'node:timers/promises'

const POLL_MS = 20

/**
 * Waits for a condition.
 *
 * @param what the condition in words, for the error
 * @param timeoutMs far beyond what it takes; only a test that fails ever waits so long
 * @returns what the condition gave, once it is neither false nor undefined
 */
export async function until<T>(
  condition: () => T | false | undefined | Promise<T | false | undefined>,
  what: string,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value !== false && value !== undefined) return value
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain until ${what}.`)
    await wait(POLL_MS)
  }
}
