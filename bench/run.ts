import { parseArgs } from 'node:util'
import { onStopSignal } from '../src/platform/process/stop-signal.ts'
import { delivery } from './delivery.ts'
import { fanout } from './fanout.ts'
import { growth } from './growth.ts'
import { idle } from './idle.ts'
import { ingest } from './ingest.ts'
import { isolation } from './isolation.ts'
import { latency } from './latency.ts'
import type { Bench } from './lib/bench.ts'
import type { Case } from './lib/compare.ts'
import { openEnvironment } from './lib/environment.ts'
import { makeReport, toTable } from './lib/report.ts'
import { Scope } from './lib/scope.ts'
import { query } from './query.ts'

const BENCHES: Record<string, Bench> = { ingest, delivery, isolation, fanout, idle, query, latency, growth }
const USAGE =
  'npm run bench -- ingest|delivery|isolation|fanout|idle|query|latency|growth [--json] [--seconds N] [--events N]   (seconds from 1 to 30, 4 unless told; events of query and growth from 1,000 to 20,000,000, 5,000,000 unless told)'
const SECONDS = { min: 1, default: 4, max: 30 }
const EVENTS = { min: 1_000, default: 5_000_000, max: 20_000_000 }
const INTERRUPTED = 130

/** Progress goes to standard error, so that standard output is the report alone. */
const say = (text: string): void => void process.stderr.write(`${text}\n`)

/** @throws Error when the arguments cannot be used */
function readArguments(): { name: string; bench: Bench; json: boolean; seconds: number; events: number } {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      seconds: { type: 'string' },
      events: { type: 'string' },
    },
  })
  const [name = '', ...others] = positionals
  const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
  if (!bench || others.length > 0) throw new Error(`Name one of ${Object.keys(BENCHES).join(', ')}.`)
  const seconds = readNumber('seconds', values.seconds, SECONDS)
  const events = Math.floor(readNumber('events', values.events, EVENTS))
  return { name, bench, json: values.json, seconds, events }
}

function readNumber(name: string, text: string | undefined, range: typeof SECONDS): number {
  const number = Number(text ?? range.default)
  if (number >= range.min && number <= range.max) return number
  throw new Error(`--${name} takes a number from ${range.min} to ${range.max}.`)
}

async function main(): Promise<number> {
  const { name, bench, json, seconds, events } = readArguments()
  const scope = new Scope()
  let interrupted = false
  onStopSignal(() => {
    interrupted = true
    scope.fail(new Error('Interrupted; stopping what was started.'))
  })
  process.on('uncaughtException', (error) => scope.fail(error))
  try {
    const run = async (): Promise<Case[]> => {
      const environment = await openEnvironment(scope, say)
      return bench({ scope, environment, seconds, events, say })
    }
    const report = makeReport(name, seconds, await Promise.race([run(), scope.failed]))
    process.stdout.write(`${json ? JSON.stringify(report, null, 2) : toTable(report)}\n`)
    return 0
  } catch (error) {
    say((error as Error).message)
    return interrupted ? INTERRUPTED : 1
  } finally {
    await scope.close()
  }
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    say(`${error.message}\n\n  ${USAGE}`)
    process.exit(2)
  },
)
