import { join } from 'node:path'
import type { AppService } from './service.ts'
import { keepSecret, readSecret } from '../../platform/secrets/data-dir.ts'

export const DEFAULT_APP_FILE = 'default-app.json'

/** The app that the embedded default comes with; made at the first start and kept in the data folder. */
export async function defaultApp(dataDir: string, apps: AppService): Promise<{ id: string; apiKey: string }> {
  const kept = await keepSecret(dataDir, DEFAULT_APP_FILE, async () => {
    const { id, apiKey } = await apps.create('default')
    return JSON.stringify({ id, apiKey }, null, 2)
  })
  return JSON.parse(kept) as { id: string; apiKey: string }
}

/** @returns the default app's key, or undefined where none is kept */
export async function keptDefaultKey(dataDir: string): Promise<string | undefined> {
  const kept = await readSecret(join(dataDir, DEFAULT_APP_FILE))
  return kept === undefined ? undefined : (JSON.parse(kept) as { apiKey: string }).apiKey
}
