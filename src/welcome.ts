import { join, relative } from 'node:path'
import { DEFAULT_APP_FILE, defaultApp, type AppService } from './features/apps/index.ts'

/**
 * What `npm start` prints with the embedded default: where it listens and what to paste to see it work.
 *
 * The key is the default app's own, on the terminal of whoever runs the service; it is in no log.
 */
export async function welcome(dataDir: string, apps: AppService, address: string): Promise<string> {
  const { apiKey } = await defaultApp(dataDir, apps)
  const folder = relative(process.cwd(), dataDir) || '.'
  return `
Heliograph listens on ${address} (documentation: ${address}/docs)
Data and keys are in ${folder}; the default app's key is in ${join(folder, DEFAULT_APP_FILE)}, the admin key in ${join(folder, 'admin.key')}.

Try it, each in a terminal of its own:

  # watch the log live
  curl -N '${address}/events/stream?after=0' -H 'Authorization: Bearer ${apiKey}'

  # append an event
  curl ${address}/events -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' -d '{"type":"demo.greeted","payload":{"hello":"world"}}'

  # have every demo event posted to a URL of yours
  curl ${address}/subscriptions -H 'Authorization: Bearer ${apiKey}' -H 'Content-Type: application/json' -d '{"name":"demo","eventPatterns":["demo.*"],"destination":{"type":"webhook","url":"http://localhost:4000/"}}'

Stop with Ctrl-C.`
}
