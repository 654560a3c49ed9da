import type { AnyExtension } from 'heliograph/extension'
import { discord } from './discord/index.ts'
import { email } from './email/index.ts'
import { http } from './http/index.ts'
import { inquiries } from './inquiries/index.ts'
import { slack } from './slack/index.ts'
import { twilio } from './twilio/index.ts'
import { whatsapp } from './whatsapp/index.ts'

/** The extensions that Heliograph comes with; PACKS says which of them are on. */
export const packs: readonly AnyExtension[] = [slack, discord, email, whatsapp, twilio, http, inquiries]
