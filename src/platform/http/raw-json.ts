import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { Problem } from './problems.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The JSON body as it was sent; empty when there was none. */
    bodyText: string
  }
}

/**
 * Parses JSON bodies, keeping their text: event payloads are stored and passed on to the letter.
 *
 * Bytes that are not UTF-8 are refused rather than replaced.
 */
export function registerJsonParser(app: FastifyInstance): void {
  app.decorateRequest('bodyText', '')
  app.removeAllContentTypeParsers()
  addJsonType(app, 'application/json')
}

const BYTE_ORDER_MARK = '\ufeff'

/** Text as it is parsed: JSON itself does not begin with a mark (RFC 8259, section 8.1). */
export const withoutByteOrderMark = (text: string): string =>
  text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text

/** Takes another media type whose bodies are JSON, in this scope. */
export function addJsonType(app: FastifyInstance, mediaType: string): void {
  app.addContentTypeParser<Buffer>(mediaType, { parseAs: 'buffer' }, (request, bytes, done) => {
    if (!isUtf8(bytes)) return done(new Problem('invalid-json', 'The body is not UTF-8.'))
    const text = withoutByteOrderMark(bytes.toString('utf8'))
    if (text === '') return done(null, undefined)
    try {
      const body: unknown = JSON.parse(text)
      request.bodyText = text
      done(null, body)
    } catch (error) {
      done(new Problem('invalid-json', `The body is not valid JSON: ${(error as Error).message}.`))
    }
  })
}
