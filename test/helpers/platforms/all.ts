import type { Test } from 'tap'
import { startHttpPlatform } from './http.ts'
import type { Messenger } from './messenger.ts'
import { startSlack } from './slack.ts'
import { startTwilio } from './twilio.ts'
import { startWhatsApp } from './whatsapp.ts'

/** Every platform there is, by its name. */
export const PLATFORMS: readonly [string, (t: Test) => Promise<Messenger>][] = [
  ['whatsapp', startWhatsApp],
  ['twilio', startTwilio],
  ['slack', startSlack],
  ['http', startHttpPlatform],
]
