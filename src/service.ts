import { gather } from './declarations.ts'
import { loadExtensions } from './extensions.ts'
import { composeFeatures, type Features } from './features.ts'
import type { Feature } from './feature.ts'
import { buildPlatform, closeWithin, type Platform, type PlatformOptions } from './platform.ts'

/** The whole of a process, before it has routes or a worker. */
export interface Service {
  platform: Platform
  features: Features
  /** Closes the features, and then the platform below them. */
  close(): Promise<void>
}

export interface ServiceOptions extends Omit<PlatformOptions, 'declared'> {
  /** Where settings of extensions are looked for. */
  environment: Record<string, string | undefined>
}

/**
 * Builds the platform and the features on it.
 *
 * @throws Error saying what to do when the database or a setting cannot be used
 * @throws the signal's reason, when that ended the waiting for a server
 */
export async function buildService(options: ServiceOptions): Promise<Service> {
  const { extensions, declared } = await load(options).catch(async (error: unknown) => {
    // It came up beside the loading of the program, and nobody else would stop it.
    await options.postgres?.then(
      (server) => server.stop(),
      () => {},
    )
    throw error
  })
  const { platform, close: closePlatform } = await buildPlatform({ ...options, declared })
  const made: Feature[] = []
  const close = async (): Promise<void> => {
    for (const feature of made.splice(0).toReversed())
      await closeWithin(async () => feature.close?.(), platform.log)
    await closePlatform()
  }
  const keep = <F extends Feature>(feature: F): F => {
    made.push(feature)
    return feature
  }
  try {
    return { platform, features: await composeFeatures(platform, extensions, keep), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function load({ config, environment }: ServiceOptions) {
  const extensions = await loadExtensions(config, environment)
  return { extensions, declared: gather(extensions.map(({ extension }) => extension)) }
}
