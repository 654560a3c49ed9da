import { defineExtension } from 'heliograph/extension'
import { twilio as platform } from './platform.ts'

/** SMS by Twilio as a messaging platform. */
export const twilio = defineExtension({ name: 'twilio', platforms: [platform] })
