import {
  type Fetching,
  type IncomingAttachment,
  isObject,
  jsonOf,
  NoContentError,
  textOf,
} from 'heliograph/extension'
import { MEDIA, type WhatsAppContent } from './content.ts'

/** Where Meta keeps media; it wants the token there too. */
const MEDIA_ORIGIN = 'https://lookaside.fbsbx.com'
/** Of an object that is not there, or not for this account to see. */
const NO_SUCH_OBJECT = 100
const MAX_ANSWER_BYTES = 16_384

/** A message of WhatsApp has one medium at most, under the name of its type. */
export function mediaOf({ type, ...message }: WhatsAppContent): IncomingAttachment[] {
  const media = MEDIA.has(type) ? (message as Record<string, unknown>)[type as string] : undefined
  if (!isObject(media)) return []
  const { id, filename, mime_type: mimeType, sha256 } = media
  return [{ externalId: id, name: filename, mimeType, sha256 }]
}

/**
 * Asks for the address of a medium, which is good for five minutes, and then for what is there.
 *
 * @param address of the medium in the Graph API
 */
export async function fetchMedia(address: string, token: string, get: Fetching['get']) {
  const credentials = {
    origins: [new URL(address).origin, MEDIA_ORIGIN],
    headers: { authorization: `Bearer ${token}` },
  }
  const answer = await get(address, credentials)
  const { url, error } = jsonOf(await textOf(answer, MAX_ANSWER_BYTES)) as {
    url?: unknown
    error?: { code?: unknown; message?: unknown }
  }
  if (answer.status === 200 && typeof url === 'string') return get(url, credentials)
  const reason = typeof error?.message === 'string' ? ` (${error.message})` : ''
  throw new NoContentError(`WhatsApp answered ${answer.status}${reason}.`, {
    isGone: answer.status === 404 || error?.code === NO_SUCH_OBJECT,
  })
}
