/** A mail server as its URL describes it. */
export interface MailServer {
  host: string
  /** The usual one of the protocol unless given. */
  port: number | undefined
  /** TLS from the first byte, rather than by STARTTLS. */
  secure: boolean
  /** Whether nothing is said to a server that does not offer STARTTLS. */
  requireTLS: boolean
  /** Whether its certificate must be one that is trusted. */
  rejectUnauthorized: boolean
  auth: { user: string; pass: string } | undefined
}

export interface Mailbox {
  name: string
  address: string
}

/** An address as HTML's `type=email` takes it: no quotes, no comments, no line breaks, no other alphabets. */
export const ADDRESS_FORM =
  "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"

const MAILBOX = /^(?:(?<name>[^<>",;\p{Cc}]*)<(?<inBrackets>[^<>]+)>|(?<bare>[^<>\s]+))$/u
const OPTIONS = ['requireTLS', 'tls.rejectUnauthorized']

/**
 * Reads `smtp://user:password@host:port?option=true`. A password is not given away on a connection that anybody
 * may read: with one, `requireTLS` is true unless the URL says otherwise.
 *
 * @throws Error saying what is wrong, without the URL itself, which holds a password
 */
export function parseSmtpUrl(text: string): MailServer {
  if (!URL.canParse(text))
    throw new Error('this is not a URL; write for example smtp://mail.example.com:587.')
  const { protocol, hostname, port, username, password, pathname, searchParams, hash } = new URL(text)
  if (!['smtp:', 'smtps:'].includes(protocol) || hostname === '') {
    throw new Error('it must begin with smtp:// or smtps:// and name a host.')
  }
  if (!['', '/'].includes(pathname) || hash !== '')
    throw new Error('it must end after the host and the port.')
  for (const [name, value] of searchParams) {
    if (!OPTIONS.includes(name) || !['true', 'false'].includes(value)) {
      throw new Error(`the only options are ${OPTIONS.join(' and ')}, each true or false.`)
    }
  }
  const hasLogin = username !== '' || password !== ''
  if (hasLogin && (username === '' || password === ''))
    throw new Error('a user needs a password and a password a user.')
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? undefined : Number(port),
    secure: protocol === 'smtps:',
    requireTLS: protocol === 'smtp:' && (searchParams.get('requireTLS') ?? String(hasLogin)) === 'true',
    rejectUnauthorized: searchParams.get('tls.rejectUnauthorized') !== 'false',
    auth: hasLogin ? { user: decoded(username), pass: decoded(password) } : undefined,
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('the user and the password must be percent-encoded.')
  }
}

/**
 * Reads `Name <address>` or an address alone.
 *
 * @throws Error saying what it should be
 */
export function parseMailbox(text: string): Mailbox {
  const { name = '', inBrackets, bare } = MAILBOX.exec(text)?.groups ?? {}
  const address = inBrackets ?? bare ?? ''
  if (!new RegExp(ADDRESS_FORM).test(address)) {
    throw new Error('write an address, such as events@example.com or Heliograph <events@example.com>.')
  }
  return { name: name.trim(), address }
}

/** Settings of the environment. */
export interface MailSettings {
  SMTP_URL?: string
  MAIL_FROM?: string
}

/**
 * The mail server and the address that mail comes from.
 *
 * @returns undefined when neither is set
 * @throws Error naming the setting that cannot be used
 */
export function mailOf({
  SMTP_URL: url,
  MAIL_FROM: from,
}: MailSettings): { server: MailServer; from: Mailbox } | undefined {
  const server = url === undefined ? undefined : naming('SMTP_URL', () => parseSmtpUrl(url))
  const mailbox = from === undefined ? undefined : naming('MAIL_FROM', () => parseMailbox(from))
  if (server && mailbox) return { server, from: mailbox }
  if (!server && !mailbox) return undefined
  throw new Error(`${server ? 'MAIL_FROM' : 'SMTP_URL'}: set both SMTP_URL and MAIL_FROM, or neither.`)
}

function naming<T>(setting: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new Error(`${setting}: ${(error as Error).message}`, { cause: error })
  }
}
