import { headerOf, type IncomingRequest, isHmac, sameDigest, sha256 } from 'heliograph/extension'

/**
 * Whether Twilio signed a request: its address and every parameter of its form, or, where the address has a
 * `bodySHA256`, the address alone, which then tells the body's hash.
 *
 * https://www.twilio.com/docs/usage/security#validating-requests
 */
export function isSigned(request: IncomingRequest, authToken: string): boolean {
  const hash = URL.parse(request.url)?.searchParams.get('bodySHA256') ?? undefined
  const isBody = hash === undefined || sameDigest(sha256(request.text), Buffer.from(hash, 'hex'))
  const parameters = hash === undefined ? signedForm(new URLSearchParams(request.text)) : ''
  const given = headerOf(request, 'x-twilio-signature')
  return isBody && addressesOf(request.url).some((address) => isHmacOf(address + parameters))

  function isHmacOf(text: string): boolean {
    return isHmac('sha1', 'base64', { key: authToken, text, given })
  }
}

/** Names and values, sorted by name; of a name that occurs more than once each value once, sorted. */
function signedForm(form: URLSearchParams): string {
  const names = [...new Set(form.keys())].toSorted()
  return names
    .flatMap((name) => [...new Set(form.getAll(name))].toSorted().map((value) => name + value))
    .join('')
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { https: ':443', http: ':80' }

/** An address is signed with its port or without it, whichever Twilio was told. */
function addressesOf(url: string): string[] {
  const [, scheme = '', host = '', port = DEFAULT_PORTS[scheme] ?? '', rest = ''] =
    /^(https?):\/\/([^/?#]*?)(:\d+)?([/?#].*)?$/.exec(url) ?? []
  return [`${scheme}://${host}${rest}`, `${scheme}://${host}${port}${rest}`]
}
