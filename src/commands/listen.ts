import { readEnvironment } from '../config.ts'
import { onStopSignal } from '../platform/stop-signal.ts'
import { runListen } from './listen/run.ts'

const stop = new AbortController()
onStopSignal(() => stop.abort())

runListen(process.argv.slice(2), readEnvironment(), {
  say: (text) => void process.stdout.write(`${text}\n`),
  complain: (text) => void process.stderr.write(`${text}\n`),
  signal: stop.signal,
}).then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`${error.stack ?? error.message}\n`)
    process.exit(1)
  },
)
