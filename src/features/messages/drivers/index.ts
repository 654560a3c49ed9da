import type { PlatformDriver } from './driver.ts'
import { http } from './http.ts'
import { slack } from './slack.ts'
import { twilio } from './twilio.ts'
import { whatsapp } from './whatsapp.ts'

/** The platforms that there always are: a new one is a file and a place here. */
export const DRIVERS: readonly PlatformDriver[] = [whatsapp, twilio, slack, http]
