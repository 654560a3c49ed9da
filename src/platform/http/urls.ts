import { Type, type StringOptions } from '@sinclair/typebox'

/** In characters, as it is sent. */
const MAX_URL_LENGTH = 2048

/**
 * An http or https URL. The schema bounds its length only: which texts are URLs is for `readUrl` to say, since
 * what JSON Schema calls a `uri` (RFC 3986) is less than what people, browsers and servers call a URL.
 */
export const Url = (options: StringOptions = {}) =>
  Type.String({ minLength: 1, maxLength: MAX_URL_LENGTH, ...options })

/**
 * Reads a URL as browsers do (WHATWG URL): hosts of any script, capital letters, spaces, brackets.
 *
 * @param advice what to do instead of credentials in it
 * @returns it as it is sent, in ASCII, or what is wrong with it
 */
export function readUrl(text: string, advice = ''): { href: string } | { fault: string } {
  const url = URL.parse(text)
  if (!url) return { fault: 'must be a URL' }
  const { protocol, username, password, href } = url
  if (protocol !== 'http:' && protocol !== 'https:') return { fault: 'must begin with http:// or https://' }
  if (username !== '' || password !== '') return { fault: `must not hold a user or a password${advice}` }
  if (href.length > MAX_URL_LENGTH)
    return { fault: `is longer than ${MAX_URL_LENGTH} characters when it is sent` }
  return { href }
}
