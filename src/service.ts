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

/**
 * Builds the platform and the features on it.
 *
 * @throws Error saying what to do when the database or a setting cannot be used
 * @throws the signal's reason, when that ended the waiting for a server
 */
export async function buildService(
  options: Omit<PlatformOptions, 'declared'> & { environment: Record<string, string | undefined> },
): Promise<Service> {
  const extensions = await loadExtensions(options.config, options.environment).catch(
    async (error: unknown) => {
      // It came up beside the loading of the program, and nobody else would stop it.
      await options.postgres?.then(
        (server) => server.stop(),
        () => {},
      )
      throw error
    },
  )
  const declared = gather(extensions.map(({ extension }) => extension))
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
