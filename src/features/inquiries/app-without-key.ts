import type { Config } from '../../config.ts'
import { Problem } from '../../platform/http/problems.ts'
import { defaultApp, type AppService } from '../apps/index.ts'

/**
 * The app of inquiries that come without a key: INQUIRIES_APP_ID, else the embedded default's own app.
 *
 * @returns its id, or undefined where an inquiry needs a key
 * @throws Error when there is no app of that id
 */
export async function appWithoutKey(config: Config, apps: AppService): Promise<string | undefined> {
  const { INQUIRIES_APP_ID: appId } = config
  if (appId === undefined) return config.embedded ? (await defaultApp(config.DATA_DIR, apps)).id : undefined
  const app = await apps.get(appId).catch((error: unknown) => {
    if (error instanceof Problem) return undefined
    throw error
  })
  if (app) return app.id
  throw new Error(`INQUIRIES_APP_ID: there is no app ${appId}. Create one with POST /apps, or unset it.`)
}
