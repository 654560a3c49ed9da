import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { KindGuard } from '@sinclair/typebox'
import { loadSettings, type Config } from './config.ts'
import type { AnyExtension, EventInput, ExtensionContext } from './extension/extension.ts'
import type { Feature } from './feature.ts'
import { defaultApp, type Apps } from './features/apps/index.ts'
import { toExtensionEvent, type Events, type NewEvent } from './features/events/index.ts'
import { packs } from './packs/index.ts'
import type { Platform } from './platform.ts'
import { Problem } from './platform/http/problems.ts'
import { ConfigError } from './platform/settings.ts'

const FACE = 'heliograph/extension'
const NAME = /^[a-z][a-z0-9-]*$/

/** An extension that is on. */
export interface ActiveExtension {
  extension: AnyExtension
  /** Those that it declares, checked. */
  settings: Readonly<Record<string, unknown>>
}

/**
 * The packs that PACKS names and the modules that EXTENSIONS names, in this order.
 *
 * @param environment where their settings are looked for
 * @throws ConfigError for a pack that there is not, a module that cannot be used, or settings that are wrong
 */
export async function loadExtensions(
  config: Pick<Config, 'packs' | 'extensions'>,
  environment: Record<string, string | undefined>,
): Promise<ActiveExtension[]> {
  const names = config.packs ?? packs.map(({ name }) => name)
  const unknown = names.filter((name) => !packs.some((pack) => pack.name === name))
  if (unknown.length > 0)
    throw new ConfigError(
      `PACKS: there is no pack ${unknown.join(', ')}. There are ${packs.map(({ name }) => name).join(', ')}.`,
    )
  const extensions = [
    ...packs.filter(({ name }) => names.includes(name)),
    ...(await loadModules(config.extensions)),
  ]
  return extensions.map((extension) => ({ extension, settings: loadSettings(extension, environment) }))
}

/**
 * The extensions that EXTENSIONS names.
 *
 * @throws ConfigError for a module that cannot be used
 */
export async function loadModules(modules: readonly string[]): Promise<AnyExtension[]> {
  if (modules.length > 0 && !isResolving) registerResolving()
  const loaded: AnyExtension[] = []
  for (const module of modules) {
    const extension = await load(module)
    if ([...packs, ...loaded].some(({ name }) => name === extension.name))
      throw new ConfigError(`EXTENSIONS: ${module} is called "${extension.name}", as another one is already.`)
    loaded.push(extension)
  }
  return loaded
}

let isResolving = false

/**
 * Modules that EXTENSIONS names are looked for from the working directory, and may import the face by its name wherever
 * they are.
 */
function registerResolving(): void {
  const face = import.meta.resolve(FACE)
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === FACE) return { url: face, shortCircuit: true }
      if (context.parentURL !== import.meta.url) return next(specifier, context)
      return next(specifier, {
        ...context,
        parentURL: pathToFileURL(join(process.cwd(), 'package.json')).href,
      })
    },
  })
  isResolving = true
}

async function load(module: string): Promise<AnyExtension> {
  let loaded: { default?: AnyExtension }
  try {
    loaded = (await import(module)) as typeof loaded
  } catch (error) {
    throw new ConfigError(`EXTENSIONS: ${module} was not loaded. ${(error as Error).message}`, {
      cause: error,
    })
  }
  const extension = loaded.default
  if (typeof extension === 'object' && typeof extension.name === 'string' && NAME.test(extension.name)) {
    const { settings = {} } = extension
    if (Object.values(settings).every((schema) => KindGuard.IsSchema(schema))) return extension
    throw new ConfigError(`EXTENSIONS: the settings of ${module} are not made with Type of ${FACE}.`)
  }
  throw new ConfigError(
    `EXTENSIONS: ${module} exports no extension. Its default export is what defineExtension() returns, with a name of lower-case words and dashes.`,
  )
}

/** Has an extension set itself up. @throws Error naming it */
export async function setUp(
  { extension, settings }: ActiveExtension,
  platform: Platform,
  needs: { apps: Apps; events: Events },
): Promise<Feature> {
  const { config, log, clock, db, http, rateLimits, snowflakeIds } = platform
  const { apps } = needs.apps
  const { appender, listeners } = needs.events
  const context: ExtensionContext = {
    settings,
    publicUrl: config.publicUrl,
    allowedOrigins: config.allowedOrigins,
    log: log.child({ extension: extension.name }),
    clock,
    db,
    http,
    rateLimits,
    snowflakeIds,
    async append(appId, events) {
      const appended = await appender.append(appId, events.map(toNewEvent), { isBatch: true })
      return appended.events.map(({ event }) => toExtensionEvent(event))
    },
    async appendWith(appId, change) {
      const { result } = await appender.appendWith(appId, async (transaction) => {
        const changed = await change(transaction)
        return { ...changed, events: changed.events.map(toNewEvent) }
      })
      return result
    },
    apps: {
      exists: (appId) =>
        apps.get(appId).then(
          () => true,
          (error: unknown) => {
            if (error instanceof Problem) return false
            throw error
          },
        ),
      default: async () => (config.embedded ? (await defaultApp(config.DATA_DIR, apps)).id : undefined),
    },
    on: (pattern, listener, options) => listeners.add(extension.name, pattern, listener, options),
  }
  try {
    return (await extension.setup?.(context as never)) ?? {}
  } catch (error) {
    throw new Error(`${(error as Error).message} (The extension "${extension.name}" could not be set up.)`, {
      cause: error,
    })
  }
}

const toNewEvent = (event: EventInput): NewEvent => {
  const payload = JSON.stringify(event.payload)
  return { ...event, payload, payloadValue: JSON.parse(payload) as unknown }
}
