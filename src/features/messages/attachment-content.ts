import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { pipeline, type Readable } from 'node:stream'
import type { Clock } from '../../platform/time/clock.ts'
import { Problem } from '../../platform/http/problems.ts'
import { drop, type Download, type Downloader } from '../../platform/outbound/download.ts'
import { OutboundError, toOutboundError } from '../../platform/outbound/http.ts'
import type { FileService, FileSource } from '../entities/index.ts'
import type { ConnectionService, OpenConnection } from './connections.ts'
import { NoContentError } from './driver.ts'

/** Contents that one process fetches at once. */
const MAX_UNDER_WAY = 200

/** A type and its parameters (RFC 9110, section 8.3.1), as far as a header takes them. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+[\t\x20-\x7e]*$/

export interface Content {
  filename: string
  contentType: string
  /** In bytes; undefined when it is not known. */
  length: number | undefined
  /** Breaks off, instead of ending, when it is too long or not what the platform said it would be. */
  body: Readable
}

/** Gets what came with messages from its platforms: only when it is asked for, and nothing of it is kept. */
export function createAttachmentContents(options: {
  files: FileService
  connections: ConnectionService
  downloader: Downloader
  clock: Clock
  maxBytes: number
}) {
  const { files, connections, downloader, clock, maxBytes } = options
  let underWay = 0

  /** @throws Problem when there is nothing to fetch */
  async function find(appId: string, id: string): Promise<{ file: FileSource; connection: OpenConnection }> {
    const file = await files.source(appId, id)
    const { platformConnectionId, url, sizeBytes } = file
    if (platformConnectionId === null) {
      const detail =
        url === null
          ? 'The file has no content: it did not come with a message, and no url was given.'
          : 'The file did not come with a message: its content is at its url, for you to get there.'
      throw new Problem('content-unavailable', detail)
    }
    const connection = await connections.find(appId, platformConnectionId)
    if (!connection) {
      throw new Problem(
        'content-unavailable',
        'The platform connection that it came through was deleted, and with it what its content is got with.',
      )
    }
    if (sizeBytes !== null && sizeBytes > maxBytes) throw tooLarge(maxBytes)
    return { file, connection }
  }

  async function fetch(file: FileSource, connection: OpenConnection): Promise<Download> {
    const { id, externalId, sourceUrl: url, mimeType } = file
    try {
      return await connection.driver.fetchAttachment(
        { id, externalId: externalId as string, url, mimeType },
        connection.account,
        { get: (address, credentials) => downloader.get(address, credentials), now: clock.now() },
      )
    } catch (error) {
      if (error instanceof NoContentError) {
        throw new Problem(error.isGone ? 'content-gone' : 'platform-refused', error.message)
      }
      throw error instanceof OutboundError ? problemOf(error) : error
    }
  }

  async function open(file: FileSource, connection: OpenConnection): Promise<Download> {
    const download = await fetch(file, connection)
    const { status, contentLength = 0, body } = download
    if (status === 200 && contentLength <= maxBytes) return download
    drop(body)
    if (status === 200) throw tooLarge(maxBytes)
    const isGone = status === 404 || status === 410
    throw new Problem(isGone ? 'content-gone' : 'platform-refused', `The platform answered ${status}.`)
  }

  return {
    /** What can be told of the content without asking the platform. @throws Problem when there is none */
    async describe(appId: string, id: string): Promise<Omit<Content, 'body'>> {
      const { file } = await find(appId, id)
      return { filename: file.filename, contentType: typeOf(file.mimeType), length: undefined }
    },

    /** @throws Problem saying why it is not to be had */
    async fetch(appId: string, id: string): Promise<Content> {
      const { file, connection } = await find(appId, id)
      if (underWay >= MAX_UNDER_WAY) {
        throw new Problem('overloaded', `${MAX_UNDER_WAY} contents are being fetched. Try again shortly.`)
      }
      underWay += 1
      const leave = (): void => {
        underWay -= 1
      }
      const download = await open(file, connection).catch((error: unknown) => {
        leave()
        throw error
      })
      const body = pipeline(
        download.body,
        (source: AsyncIterable<Buffer>) => check(source, { sha256: file.sha256, maxBytes }),
        () => {},
      ) as unknown as Readable
      body.once('close', leave)
      // What fails at its beginning can still be told.
      await once(body, 'readable').catch((error: unknown) => {
        throw error instanceof Problem ? error : problemOf(toOutboundError(error))
      })
      const { filename, mimeType } = file
      const { contentLength: length, contentType } = download
      return { filename, contentType: typeOf(mimeType ?? contentType), length, body }
    },
  }
}

const problemOf = ({ code, message }: OutboundError): Problem =>
  new Problem(code === 'timeout' ? 'platform-timeout' : 'platform-refused', message)

export type AttachmentContents = ReturnType<typeof createAttachmentContents>

const tooLarge = (maxBytes: number): Problem =>
  new Problem(
    'content-too-large',
    `It has more than ${maxBytes} bytes. The operator can raise MAX_ATTACHMENT_BYTES.`,
  )

const typeOf = (mimeType: string | null | undefined): string =>
  mimeType && MEDIA_TYPE.test(mimeType) ? mimeType : 'application/octet-stream'

/** Passes a body on, its last piece only once it proves to be what it should be: so nobody takes it for whole before. */
async function* check(
  body: AsyncIterable<Buffer>,
  { sha256, maxBytes }: { sha256: string | null; maxBytes: number },
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let size = 0
  let held: Buffer | undefined
  for await (const piece of body) {
    size += piece.length
    if (size > maxBytes) throw tooLarge(maxBytes)
    if (sha256 !== null) hash.update(piece)
    if (held) yield held
    held = piece
  }
  if (sha256 !== null && hash.digest('hex') !== sha256) {
    throw new Problem('platform-refused', 'The content does not have the SHA-256 that the platform told.')
  }
  if (held) yield held
}
