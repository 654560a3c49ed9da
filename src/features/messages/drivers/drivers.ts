import type { PlatformDriver } from './driver.ts'

/** The platforms that connections may be made to. */
export interface Drivers {
  all: readonly PlatformDriver[]
  /** @throws Error for a platform that this version does not know */
  of(platform: string): PlatformDriver
}

/** @throws Error for two drivers of one platform */
export function createDrivers(all: readonly PlatformDriver[]): Drivers {
  const byPlatform = new Map(all.map((driver) => [driver.platform, driver]))
  if (byPlatform.size < all.length)
    throw new Error(
      `Two drivers are for the same platform: ${all.map(({ platform }) => platform).join(', ')}.`,
    )
  return {
    all,
    of(platform) {
      const driver = byPlatform.get(platform)
      if (!driver) throw new Error(`This version has no platform "${platform}".`)
      return driver
    },
  }
}
