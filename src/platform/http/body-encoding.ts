import { Transform, type Readable } from 'node:stream'
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from './problems.ts'

const TAKEN = 'gzip, deflate, br, zstd'

const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  // The same by another name (RFC 9110, section 8.4.1.3).
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
  // With windows of 8 MiB at most (RFC 9659), where the library would keep up to 128 of a body of a few bytes.
  ['zstd', () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: 23 } })],
])

const CHARSET = /;[ \t]*charset="?([^";, \t]*)/i
/** ASCII is a part of UTF-8. */
const UTF8 = new Set(['utf-8', 'utf8', 'us-ascii'])

/** Whether a request says that it has a body. */
export const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0

/**
 * Takes bodies that are compressed, on every route and before anything reads them: signatures are over what comes out, and
 * limits apply to it. Text must be UTF-8.
 */
export function registerBodyEncoding(app: FastifyInstance): void {
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (!hasBody(request)) return done(null, payload)
    refuseCharset(request)
    const encoding = (request.headers['content-encoding'] ?? '').trim().toLowerCase()
    if (encoding === '' || encoding === 'identity') return done(null, payload)
    done(null, decoded(request, payload as Readable, encoding, decoderOf(encoding, reply)))
  })
}

function refuseCharset({ headers }: FastifyRequest): void {
  const charset = CHARSET.exec(headers['content-type'] ?? '')?.[1]
  if (charset === undefined || UTF8.has(charset.toLowerCase())) return
  throw new Problem(
    'unsupported-media-type',
    `The charset ${JSON.stringify(charset)} is not taken: send UTF-8.`,
  )
}

function decoderOf(encoding: string, reply: FastifyReply): Transform {
  const create = DECODERS.get(encoding)
  if (create) return create()
  void reply.header('accept-encoding', TAKEN)
  throw new Problem(
    'unsupported-media-type',
    `The content encoding ${JSON.stringify(encoding)} is not taken: send one of ${TAKEN}, or none.`,
  )
}

/** What comes out of an encoded body; beyond the limit of the route it fails, and nothing more is decoded. */
function decoded(request: FastifyRequest, body: Readable, encoding: string, decoder: Transform): Readable {
  let left = request.routeOptions.bodyLimit
  const limited = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      left -= chunk.length
      if (left >= 0) return done(null, chunk)
      done(new Problem('payload-too-large', 'The body is larger, once it is decoded, than this route takes.'))
    },
  })
  // Fastify compares it with Content-Length.
  const output = Object.assign(limited, { receivedEncodedLength: 0 })
  body.on('data', (chunk: Buffer) => (output.receivedEncodedLength += chunk.length))
  body.on('error', (error) => output.destroy(error))
  decoder.on('error', () =>
    output.destroy(
      new Problem('validation-failed', `The body is not ${encoding}, as its Content-Encoding says.`),
    ),
  )
  // Whoever refuses the request for another reason does not listen any more.
  output.on('error', () => undefined)
  output.on('close', () => {
    decoder.destroy()
    // What is left of it is read, so that the client comes to read the answer.
    body.resume()
  })
  body.pipe(decoder).pipe(output)
  return output
}
