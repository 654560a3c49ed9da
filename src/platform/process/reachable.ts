import { setTimeout as wait } from 'node:timers/promises'

const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 2_000
const SAY_EVERY_MS = 10_000

/** How long one attempt may take, in milliseconds. */
export const ATTEMPT_TIMEOUT_MS = 5_000

/** A server that a process does not start without. */
export interface NeededServer {
  /** For people, with its host and port and without its password: `Postgres at db.example:5432`. */
  name: string
  /** The setting that says where it is. */
  setting: string
  /** Connects anew and has one request answered. */
  attempt(): Promise<void>
  /**
   * Why an attempt failed, in words for a person, if a later one may succeed.
   *
   * @returns undefined for what waiting does not mend, such as a wrong password
   */
  whyNotYet(error: Error): string | undefined
}

export interface Patience {
  /** How long to try, in milliseconds. 0: once. */
  timeoutMs: number
  /** Ends the waiting at once. */
  signal?: AbortSignal | undefined
  /** Told what is waited for, in words for a person. */
  say: (text: string) => void
}

/**
 * Waits until servers answer, all at the same time: they may be starting just as this process is.
 *
 * @throws Error saying what to do, when one does not answer in time, or refuses what waiting does not mend
 * @throws the signal's reason, when that ended the waiting
 */
export async function untilReachable(
  servers: readonly NeededServer[],
  { timeoutMs, signal, say }: Patience,
): Promise<void> {
  const over = new AbortController()
  const ends = signal ? AbortSignal.any([signal, over.signal]) : over.signal
  try {
    await Promise.all(servers.map((server) => untilOneIs(server, timeoutMs, ends, say)))
  } finally {
    over.abort()
  }
}

async function untilOneIs(
  server: NeededServer,
  timeoutMs: number,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<void> {
  const { name } = server
  const startedAt = performance.now()
  const waited = (): number => performance.now() - startedAt
  let saidAt: number | undefined
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    const failure = await unlessAborted(signal, outcomeOf(server.attempt()))
    if (!failure) {
      if (saidAt !== undefined) say(`${name} is there, after ${inSeconds(waited())}.`)
      return
    }
    const why = whyWait(server, failure)
    const left = timeoutMs - waited()
    if (left <= 0) throw givingUp(server, timeoutMs, why, failure)
    if (saidAt === undefined || waited() - saidAt >= SAY_EVERY_MS) {
      say(`Waiting for ${name}: ${why}. Giving up in ${inSeconds(left)}.`)
      saidAt = waited()
    }
    await wait(Math.min(pauseMs, left), undefined, { signal }).catch(() => signal.throwIfAborted())
  }
}

const outcomeOf = (attempt: Promise<void>): Promise<Error | undefined> =>
  attempt.then(
    () => undefined,
    (error: Error) => error,
  )

/** @throws Error when waiting does not help */
function whyWait(server: NeededServer, failure: Error): string {
  const { name, setting } = server
  const why = server.whyNotYet(failure)
  if (why !== undefined) return why.replace(/\.$/, '')
  throw new Error(
    `${name} cannot be used: ${failure.message.replace(/\.$/, '')}. Correct ${setting}, or the server.`,
    {
      cause: failure,
    },
  )
}

function givingUp({ name, setting }: NeededServer, timeoutMs: number, why: string, cause: Error): Error {
  const within = timeoutMs === 0 ? '' : ` within ${inSeconds(timeoutMs)}`
  return new Error(
    `${name} could not be reached${within}: ${why}. Start it, or correct ${setting}. START_TIMEOUT_MS says how long to wait.`,
    { cause },
  )
}

/** What a failure to connect means that may pass, in words for a person. */
const PASSING: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
  ENOENT: 'there is no such socket',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'its name could not be looked up',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
}

/** @returns why a connection could not be made, or undefined for what will not pass */
export const whyUnreachable = (error: Error): string | undefined =>
  PASSING[(error as NodeJS.ErrnoException).code ?? '']

const inSeconds = (milliseconds: number): string => `${Math.round(milliseconds / 100) / 10} s`

/** @throws the signal's reason as soon as it is aborted; what the promise stands for is left to itself */
async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason as Error)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
