import { defineExtension } from 'heliograph/extension'
import { whatsapp as platform } from './platform.ts'

/** The Cloud API of WhatsApp as a messaging platform. */
export const whatsapp = defineExtension({ name: 'whatsapp', platforms: [platform] })
