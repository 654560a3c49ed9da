import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import { appendFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { RecordedStatement } from '../lib/recording.ts'

// Loaded into a service before its own code: writes down each statement that a request runs. The file is named
// in this module's own URL, since a preloaded module has no arguments.
const file = fileURLToPath(new URL(import.meta.url).searchParams.get('to') as string)
const paths = new AsyncLocalStorage<string>()

subscribe('http.server.request.start', (message) => {
  const { request } = message as { request: IncomingMessage }
  paths.enterWith(request.url as string)
})

type Query = (this: pg.Client, config: string | pg.QueryConfig, ...rest: unknown[]) => unknown

const prototype = pg.Client.prototype as unknown as { query: Query }
const { query } = prototype
prototype.query = function (config, ...rest) {
  const path = paths.getStore()
  if (path !== undefined) {
    const {
      name,
      text,
      values = rest[0],
    } = typeof config === 'string' ? ({ text: config } as pg.QueryConfig) : config
    const recorded: RecordedStatement = { path, name, text, values: (values ?? []) as unknown[] }
    appendFileSync(file, `${JSON.stringify(recorded)}\n`)
  }
  return query.call(this, config, ...rest)
}
