import type { PlatformDriver } from './driver.ts'
import { http } from './http.ts'
import { slack } from './slack.ts'
import { twilio } from './twilio.ts'
import { whatsapp } from './whatsapp.ts'

/** Every platform there is: the only registry. */
export const DRIVERS: readonly PlatformDriver[] = [whatsapp, twilio, slack, http]

/** @throws Error for a platform that this version does not know */
export function driverOf(platform: string): PlatformDriver {
  const driver = DRIVERS.find((known) => known.platform === platform)
  if (!driver) throw new Error(`This version has no platform "${platform}".`)
  return driver
}
