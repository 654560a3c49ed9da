import { defineExtension } from 'heliograph/extension'
import { declared } from './declared.ts'
import { email as destination } from './destination.ts'

/** E-mail as a destination. */
export const email = defineExtension({ ...declared, destinations: [destination] })
