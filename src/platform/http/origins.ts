/** `scheme://host`, maybe with a port; no user, path or anything else. */
const FORM = /^[a-z][a-z0-9+.-]*:\/\/[^\s/\\?#@*]+$/i
const HOSTS_OF_THIS_MACHINE = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Checks the entries of ALLOWED_ORIGINS: `*`, `local`, or an origin. A slash at its end is dropped.
 *
 * @throws Error naming the entry that is none of these
 */
export function checkOrigins(entries: readonly string[]): string[] {
  return entries.map((entry) => {
    const origin = entry.replace(/\/$/, '')
    if (origin === '*' || origin === 'local' || canonical(origin) !== undefined) return origin
    throw new Error(`"${entry}" is not an origin: write for example https://www.example.com.`)
  })
}

/**
 * Makes the rule by which web pages may use this service from another origin.
 *
 * The rule takes a request's `Origin`, undefined where there was none: no browser's, or one of the same
 * origin, which passes. It takes the host that the request was for too, with its port, for pages that came
 * from the same host; undefined to leave that out.
 *
 * @param allowedOrigins as `checkOrigins` takes them; `local`: any http or https page of this machine
 */
export function createOriginCheck(
  allowedOrigins: readonly string[],
): (origin: string | undefined, ownHost: string | undefined) => boolean {
  const any = allowedOrigins.includes('*')
  const local = allowedOrigins.includes('local')
  const known = new Set(allowedOrigins.map(canonical))
  return (origin, ownHost) => {
    if (origin === undefined || any) return true
    const name = canonical(origin)
    if (name === undefined) return false
    if (known.has(name)) return true
    const page = webPage(name)
    if (page === undefined) return false
    return (local && HOSTS_OF_THIS_MACHINE.has(page.hostname)) || page.host === hostOf(page, ownHost)
  }
}

/** An origin in its one usual spelling, or undefined for what is none, such as `null`. */
function canonical(text: string): string | undefined {
  if (!FORM.test(text)) return undefined
  // URL knows no origin of other schemes, such as those of apps that show web pages.
  return /^https?:/i.test(text) ? webPage(text)?.origin : text.toLowerCase()
}

function webPage(text: string): URL | undefined {
  return /^https?:/i.test(text) ? (URL.parse(text) ?? undefined) : undefined
}

/** A host as it stands in the origin of a page of the same scheme: without the scheme's own port. */
const hostOf = ({ protocol }: URL, host: string | undefined): string | undefined =>
  host === undefined ? undefined : canonical(`${protocol}//${host}`)?.slice(`${protocol}//`.length)
