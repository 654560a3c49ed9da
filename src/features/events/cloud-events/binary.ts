import { isUtf8 } from 'node:buffer'
import type { FastifyRequest } from 'fastify'
import { hasBody } from '../../../platform/http/body-encoding.ts'
import { Problem } from '../../../platform/http/problems.ts'
import type { Violation } from '../../../platform/json-schema/json-schema.ts'
import { faultOf } from './read.ts'
import { CLOUD_EVENT } from './schema.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The attributes of a CloudEvent that came in its headers. */
    cloudEventHeaders: Record<string, string> | null
  }
}

const PREFIX = 'ce-'
const REQUIRED = ['ce-specversion', 'ce-id', 'ce-source', 'ce-type']
const JSON_MEDIA_TYPE = /^[^;]+\/(?:[^;]+\+)?json[ \t]*(?:;|$)/i
const CLOUD_EVENTS_MEDIA_TYPE = /^application\/cloudevents/i

/**
 * Takes the binary mode of CloudEvents 1.0.2 (HTTP protocol binding, 3.1): attributes in headers, the data as the body.
 * Such a request is read as the structured one that it stands for, and pointers in errors point into that.
 *
 * To be called before the body is parsed.
 */
export function takeHeaders(request: FastifyRequest): void {
  if (!isBinary(request)) return
  request.cloudEventHeaders = readHeaders(request)
  const [, ...parameters] = (request.headers['content-type'] ?? '').split(';')
  request.headers = { 'content-type': [CLOUD_EVENT, ...parameters].join(';') }
}

/** Puts the headers that were taken and the body together. To be called once the body is parsed. */
export function joinHeadersAndBody(request: FastifyRequest): void {
  const { cloudEventHeaders: attributes, bodyText, body } = request
  if (attributes === null) return
  const text = JSON.stringify(attributes)
  request.bodyText = bodyText === '' ? text : `${text.slice(0, -1)},"data":${bodyText}}`
  request.body = bodyText === '' ? attributes : { ...attributes, data: body }
}

/** Whether a request has the headers of an event and no body that is one already (HTTP protocol binding, 3). */
const isBinary = ({ headers }: FastifyRequest): boolean =>
  REQUIRED.some((name) => headers[name] !== undefined) &&
  !CLOUD_EVENTS_MEDIA_TYPE.test(headers['content-type'] ?? '')

/**
 * The attributes that stand in the headers of a request, as texts.
 *
 * @throws Problem `validation-failed` for headers that stand for no attribute, `unsupported-media-type` for data that is
 *   not declared to be JSON
 */
function readHeaders(request: FastifyRequest): Record<string, string> {
  const { headers, raw } = request
  const attributes: [string, string][] = []
  const wrong: Violation[] = []
  for (const [header, values = []] of Object.entries(raw.headersDistinct)) {
    if (!header.startsWith(PREFIX)) continue
    const name = header.slice(PREFIX.length)
    const value = decoded(values[0] ?? '')
    const detail = faultOfHeader(name) ?? (values.length > 1 ? 'stands there twice' : undefined)
    if (detail !== undefined) wrong.push({ pointer: `/${header}`, detail })
    else if (value === undefined) wrong.push({ pointer: `/${header}`, detail: NOT_DECODED })
    else attributes.push([name, value])
  }
  if (wrong.length > 0)
    throw new Problem('validation-failed', 'The headers of the CloudEvent cannot be read.', wrong)
  const contentType = headers['content-type']
  if (contentType === undefined ? hasBody(request) : !JSON_MEDIA_TYPE.test(contentType)) {
    throw new Problem(
      'unsupported-media-type',
      'The data of a CloudEvent must be a JSON object here: send it as application/json, or as another type that ends with +json.',
    )
  }
  if (contentType !== undefined) attributes.push(['datacontenttype', contentType])
  return Object.fromEntries(attributes)
}

function faultOfHeader(name: string): string | undefined {
  if (name === 'data') return 'is no attribute: the data is the body'
  if (name === 'datacontenttype') return 'must not be there: Content-Type says it'
  return faultOf(name)
}

const NOT_DECODED = 'cannot be decoded: write it in ASCII, with all else (and "%") percent-encoded as UTF-8'

/**
 * The text that the value of a header stands for (HTTP protocol binding, 3.1.3.2): without the quotes of quoted strings,
 * then percent-decoded once.
 *
 * @returns undefined when it stands for none
 */
function decoded(value: string): string | undefined {
  const unquoted = value.replace(/"((?:[^"\\]|\\.)*)"/g, (_, text: string) => text.replace(/\\(.)/g, '$1'))
  if (/%(?![0-9a-f]{2})/i.test(unquoted)) return undefined
  const bytes = Buffer.from(
    unquoted.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    // As Node reads headers, which are bytes.
    'latin1',
  )
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined
}
