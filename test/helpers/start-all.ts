import type { Test } from 'tap'
import { startProcess } from './processes.ts'
import { startReceiver } from './receiver.ts'
import { createClient } from './service.ts'

/** An API and a worker process, an app, and a receiver that gets all of its events. */
export async function startAll(t: Test, environment: Record<string, string>) {
  const [api, worker] = await Promise.all([
    startProcess(t, 'api', environment),
    startProcess(t, 'worker', environment),
  ])
  const [client, receiver] = await Promise.all([createClient(api.url), startReceiver(t)])
  await client.subscribe(receiver.url)
  return { api, worker, client, receiver }
}
