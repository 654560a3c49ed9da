import { parseArgs } from 'node:util'
import { loadConfig } from '../../config.ts'
import { ConfigError } from '../../platform/settings.ts'
import { PATTERN_FORM } from '../../features/matching/index.ts'
import { faultOfSecret, newSigningSecret } from '../../platform/secrets/signing.ts'
import { keptDefaultKey } from '../../features/apps/index.ts'

const DEFAULT_SERVICE = 'http://127.0.0.1:3000'
const MAX_TIMEOUT_SECONDS = 86_400

export const USAGE = `Usage: npm run listen -- --forward URL [options]

Posts the events of an app to a URL of yours as they are appended, signed as webhooks are.

  --forward URL      where to post them, such as http://localhost:4000/hooks
  --types PATTERNS   which events, such as 'order.*,message.inbound' (default: all)
  --after POSITION   begin after this position of the log; 0 is its beginning (default: only new events)
  --secret SECRET    what to sign with (default: a new one)
  --timeout SECONDS  how long the URL has to answer (default: 15)
  --url URL          the service (default: HELIOGRAPH_URL, or ${DEFAULT_SERVICE})
  --help             print this

The API key is read from HELIOGRAPH_API_KEY. Without it, and with a service on this machine that runs its own
Postgres, the default app's key in DATA_DIR is used.`

export interface ListenOptions {
  /** Without a slash at its end. */
  service: string
  key: string
  patterns: readonly string[]
  forward: string
  /** A position; undefined to begin with the next event. */
  after: number | undefined
  secret: string
  timeoutMs: number
}

/** Thrown for a command line that cannot be used. */
export class UsageError extends Error {
  override name = 'UsageError'
}

/**
 * Reads the command line of `npm run listen`.
 *
 * @param environment names the service and its key
 * @returns undefined when only help is asked for
 * @throws UsageError saying which option is wrong and what it should be; never with a key or a secret in it
 */
export async function readArguments(
  args: string[],
  environment: NodeJS.ProcessEnv,
): Promise<ListenOptions | undefined> {
  const values = parse(args)
  if (values.help) return undefined
  if (values.forward === undefined) throw new UsageError('--forward is missing: where are the events to go?')
  const forward = httpUrl('--forward', values.forward)
  const service = serviceUrl(values.url, environment['HELIOGRAPH_URL'])
  return {
    service: service.href.replace(/\/+$/, ''),
    patterns: patternsIn(values.types ?? '*'),
    forward: forward.href,
    after: positionIn(values.after),
    secret: secretIn(values.secret),
    timeoutMs: timeoutIn(values.timeout ?? '15'),
    key: await keyFor(service, environment),
  }
}

function parse(args: string[]) {
  const type = 'string'
  try {
    return parseArgs({
      args,
      options: {
        forward: { type },
        types: { type },
        after: { type },
        secret: { type },
        timeout: { type },
        url: { type },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error })
  }
}

function httpUrl(name: string, text: string): URL {
  const url = URL.parse(text)
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError(
      `${name} is not an http or https URL: write for example http://localhost:4000/hooks.`,
    )
  }
  if (url.username || url.password) throw new UsageError(`${name} must hold no user name and no password.`)
  url.hash = ''
  return url
}

function serviceUrl(option: string | undefined, variable: string | undefined): URL {
  const name = option === undefined ? 'HELIOGRAPH_URL' : '--url'
  const url = httpUrl(name, option ?? (variable?.trim() || DEFAULT_SERVICE))
  if (url.search) throw new UsageError(`${name} must end before its "?".`)
  return url
}

function patternsIn(text: string): string[] {
  const form = new RegExp(PATTERN_FORM)
  return text.split(',').map((part) => {
    const pattern = part.trim()
    if (pattern === '' || !form.test(pattern)) {
      throw new UsageError(
        `--types: "${pattern}" is not a pattern: write for example order.placed, order.* or order.**.`,
      )
    }
    return pattern
  })
}

function positionIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,15}$/.test(text)) throw new UsageError('--after is not a position: write a number from 0 on.')
  return Number(text)
}

function secretIn(text: string | undefined): string {
  if (text === undefined) return newSigningSecret()
  const fault = faultOfSecret(text)
  if (fault !== undefined) throw new UsageError(`--secret is not a signing secret: it ${fault}.`)
  return text
}

function timeoutIn(text: string): number {
  const seconds = /^\d{1,5}(\.\d{1,3})?$/.test(text) ? Number(text) : 0
  if (seconds <= 0 || seconds > MAX_TIMEOUT_SECONDS) {
    throw new UsageError(
      `--timeout is not a number of seconds: write one above 0, up to ${MAX_TIMEOUT_SECONDS}.`,
    )
  }
  return Math.round(seconds * 1000)
}

async function keyFor(service: URL, environment: NodeJS.ProcessEnv): Promise<string> {
  const given = environment['HELIOGRAPH_API_KEY']?.trim()
  if (given) {
    if (!/^[\x21-\x7e]+$/.test(given)) throw new UsageError('HELIOGRAPH_API_KEY is not an API key.')
    return given
  }
  // The kept key is for the service beside it and must reach no other machine.
  const kept = isLoopback(service.hostname) ? await keptKey(environment) : undefined
  if (kept === undefined) {
    throw new UsageError('There is no API key: set HELIOGRAPH_API_KEY to one that may read events.')
  }
  return kept
}

async function keptKey(environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    const config = loadConfig(environment)
    return config.embedded ? await keptDefaultKey(config.DATA_DIR) : undefined
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.message, { cause: error })
    if (error instanceof SyntaxError) {
      throw new UsageError('default-app.json in DATA_DIR cannot be read: set HELIOGRAPH_API_KEY.', {
        cause: error,
      })
    }
    throw error
  }
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)
