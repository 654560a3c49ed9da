import { readUrl } from '../../platform/http/urls.ts'
import type { PlatformFile } from '../entities/index.ts'
import type { IncomingAttachment } from './driver.ts'
import { isId } from './reading.ts'

const MAX_NAME_LENGTH = 255
const MAX_TYPE_LENGTH = 200

/**
 * What can be kept of attachments: what a platform tells wrong is left out, and so is what has no proper id, once each.
 * All of it stays in the message as the platform tells it.
 */
export function keptFiles(attachments: readonly IncomingAttachment[]): PlatformFile[] {
  const files = attachments.flatMap((attachment) => keptFile(attachment) ?? [])
  const first = new Map(files.toReversed().map((file) => [file.externalId, file]))
  return files.filter((file) => first.get(file.externalId) === file)
}

function keptFile({ externalId, name, mimeType, sizeBytes, sha256, url }: IncomingAttachment) {
  if (!isId(externalId)) return undefined
  const type = textOf(mimeType, MAX_TYPE_LENGTH)
  return {
    externalId,
    filename: textOf(name, MAX_NAME_LENGTH) ?? nameFor(type),
    mimeType: type,
    sizeBytes: Number.isSafeInteger(sizeBytes) && (sizeBytes as number) >= 0 ? (sizeBytes as number) : null,
    sha256: digestOf(sha256),
    url: urlOf(url),
  } satisfies PlatformFile
}

const textOf = (value: unknown, maxLength: number): string | null =>
  typeof value === 'string'
    ? value.replaceAll('\0', '').slice(0, maxLength).toWellFormed().trim() || null
    : null

/** Such as `image.jpeg`: photographs and recordings have no names of their own on most platforms. */
function nameFor(mimeType: string | null): string {
  const [, kind, ending] = /^(\w+)\/(\w{1,8})(?![\w.-])/.exec(mimeType ?? '') ?? []
  return ending === undefined ? 'attachment' : `${kind === 'application' ? 'document' : kind}.${ending}`
}

/** In hex. */
function digestOf(sha256: unknown): string | null {
  if (typeof sha256 !== 'string') return null
  const isHex = /^[0-9a-f]{64}$/i.test(sha256)
  const bytes = Buffer.from(sha256, isHex ? 'hex' : 'base64')
  return bytes.length === 32 ? bytes.toString('hex') : null
}

function urlOf(url: unknown): string | null {
  const read = typeof url === 'string' ? readUrl(url) : undefined
  return read && 'href' in read ? read.href : null
}
