import { defineExtension } from 'heliograph/extension'
import { discord as destination } from './destination.ts'

/** Webhooks of Discord as destinations. */
export const discord = defineExtension({ name: 'discord', destinations: [destination] })
