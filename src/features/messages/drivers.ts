import { Problem } from '../../platform/http/problems.ts'
import type { PlatformDriver } from './driver.ts'

/** The platforms that connections may be made to. */
export interface Drivers {
  all: readonly PlatformDriver[]
  /** @returns undefined for a platform that is off */
  find(platform: string): PlatformDriver | undefined
  /** @throws Problem `conflict` for a platform that is off */
  of(platform: string): PlatformDriver
}

export const platformIsOff = (platform: string): string =>
  `The platform "${platform}" is off here: see PACKS and EXTENSIONS.`

/** @throws Error for two drivers of one platform */
export function createDrivers(all: readonly PlatformDriver[]): Drivers {
  const byPlatform = new Map(all.map((driver) => [driver.platform, driver]))
  if (byPlatform.size < all.length)
    throw new Error(
      `Two drivers are for the same platform: ${all.map(({ platform }) => platform).join(', ')}.`,
    )
  return {
    all,
    find: (platform) => byPlatform.get(platform),
    of(platform) {
      const driver = byPlatform.get(platform)
      if (!driver) throw new Problem('conflict', platformIsOff(platform))
      return driver
    },
  }
}
