import type { ExtensionContext } from 'heliograph/extension'

/**
 * The app of inquiries that come without a key: INQUIRIES_APP_ID, else the embedded default's own app.
 *
 * @returns its id, or undefined where an inquiry needs a key
 * @throws Error when there is no app of that id
 */
export async function appWithoutKey(
  appId: string | undefined,
  apps: ExtensionContext['apps'],
): Promise<string | undefined> {
  if (appId === undefined) return apps.default()
  const id = appId.toLowerCase()
  if (await apps.exists(id)) return id
  throw new Error(`INQUIRIES_APP_ID: there is no app ${appId}. Create one with POST /apps, or unset it.`)
}
