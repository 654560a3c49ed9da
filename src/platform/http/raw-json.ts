import { isUtf8 } from 'node:buffer'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { parseAsWritten } from '../json/exact-numbers.ts'
import { memberSlice, nestedDeeperThan } from '../json/slices.ts'
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

/** What is nested deeper is nowhere taken, and could overflow the stack before it is refused. */
const MAX_DEPTH = 1_000

/**
 * The body of a request with some of its members as `parseAsWritten` gives them, for what is kept as it was sent.
 *
 * @param names of members that may be any JSON
 */
export function bodyAsWritten<Body extends object>(
  request: FastifyRequest,
  ...names: (keyof Body & string)[]
): Body {
  const { bodyText } = request
  const body = { ...(request.body as Body) }
  for (const name of names) {
    const slice = Object.hasOwn(body, name) ? memberSlice(bodyText, name) : undefined
    if (slice === undefined || nestedDeeperThan(MAX_DEPTH, bodyText, slice)) continue
    body[name] = parseAsWritten(bodyText.slice(...slice)) as Body[typeof name]
  }
  return body
}
