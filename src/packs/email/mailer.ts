import type { NodemailerError, SMTPSentMessageInfo } from 'nodemailer'
import { redacted } from 'heliograph/extension'
import type { Mailbox, MailServer } from './mail-settings.ts'

/** How long single steps may take; the whole exchange has a deadline of its own, which is mostly shorter. */
const STEP_TIMEOUT_MS = 60_000
/** Connections that nothing is sent on are closed after this time. */
const IDLE_MS = 30_000
/** How often a mail is moved to another connection because its own was closed before a word of it was sent. */
const MAX_REQUEUES = 2
/** How much of one reply is read; a longer one ends the connection. */
const MAX_REPLY_BYTES = 65_536
/** How much of the replies is told, and how much of one in an error. */
const MAX_TOLD_LENGTH = 16_384
const MAX_ERROR_LENGTH = 500
/** `503` says that the dialogue went wrong, not that the mail is refused. */
const BAD_SEQUENCE = 503
const LOGIN_NEEDED = 530
const NO_SMTP = 'The mail server answered something that is not SMTP.'

export interface Mail {
  to: readonly string[]
  subject: string
  text: string | undefined
  html: string | undefined
  messageId: string
  date: Date
}

/** What a mail server made of a mail. Nothing in it tells how one logs in to the server. */
export interface MailAnswer {
  sent: boolean
  /** The SMTP code of the reply that decided. */
  status: number | null
  /** What the server said to the sender, the recipients or the mail. */
  reply: string | null
  error: string | null
  /** Whether the same mail will never be taken. */
  permanent: boolean
  /** Whether it was the recipients or the mail that was refused, rather than that the server could not be used. */
  refused: boolean
}

export interface Mailer {
  /**
   * Gives a mail to the server.
   *
   * It is sent when the server took it for one recipient at least and refused the others for good. When it put
   * a recipient off (4xx) it is not: the mail is to be given again for all of them, with the same `messageId`.
   *
   * @param timeoutMs over the whole exchange: waiting for a connection, making one, and the dialogue
   */
  send(mail: Mail, timeoutMs: number): Promise<MailAnswer>
}

/** Mail through one server, over a few connections that are kept for a while. */
export function createMailer(server: MailServer, from: Mailbox): Mailer {
  const { host, port, secure, requireTLS, rejectUnauthorized, auth } = server
  // Loaded only where there is a mail server: a start without one need not wait for it.
  const transport = import('nodemailer').then(({ createTransport }) =>
    createTransport({
      pool: true,
      host,
      port,
      secure,
      requireTLS,
      tls: { rejectUnauthorized },
      auth,
      connectionTimeout: STEP_TIMEOUT_MS,
      greetingTimeout: STEP_TIMEOUT_MS,
      socketTimeout: STEP_TIMEOUT_MS,
      dnsTimeout: STEP_TIMEOUT_MS,
      socketCloseTimeout: 0,
      idleTimeout: IDLE_MS,
      maxRequeues: MAX_REQUEUES,
      maxResponseSize: MAX_REPLY_BYTES,
      disableFileAccess: true,
      disableUrlAccess: true,
    }),
  )
  const secrets = auth === undefined ? [] : formsOf(auth)
  const clean = (said: string): string => redacted(said, secrets).slice(0, MAX_TOLD_LENGTH)

  return {
    async send({ to, subject, text, html, messageId, date }, timeoutMs) {
      const signal = AbortSignal.timeout(timeoutMs)
      try {
        const smtp = await transport
        const info = await smtp.sendMail({
          from,
          to: to.map((address) => ({ name: '', address })),
          subject,
          text,
          html,
          messageId,
          date,
          xMailer: false,
          headers: { 'Auto-Submitted': 'auto-generated' },
          signal,
        })
        return fromInfo(info, clean)
      } catch (error) {
        if (signal.aborted) return unusable(`The mail server did not take the mail within ${timeoutMs} ms.`)
        return fromError(error as NodemailerError, clean)
      }
    },
  }
}

/** A password in the forms that a server gets it in. */
const formsOf = ({ user, pass }: { user: string; pass: string }): string[] => [
  pass,
  Buffer.from(pass).toString('base64'),
  Buffer.from(`\0${user}\0${pass}`).toString('base64'),
]

function fromInfo({ response, rejectedErrors = [] }: SMTPSentMessageInfo, clean: Clean): MailAnswer {
  const putOff = rejectedErrors.find(({ response: reply = '' }) => !isPermanent(codeOf(reply) ?? 0))
  const replies = [...rejectedErrors.map(replyTo), response].join('\n')
  return {
    sent: putOff === undefined,
    status: codeOf(putOff?.response ?? response),
    reply: clean(replies),
    error: putOff ? clean(`The mail server put off ${replyTo(putOff)}`) : null,
    permanent: false,
    refused: true,
  }
}

/** What was said to one recipient. */
const replyTo = ({ recipient, response }: NodemailerError): string => `${recipient}: ${response}`

/** The code of a reply; null for anything that is no reply. */
const codeOf = (reply: string): number | null => Number(/^[2-5]\d\d(?=[ -]|$)/.exec(reply)?.[0] ?? 0) || null

const isPermanent = (code: number): boolean => code >= 500 && code < 600 && code !== BAD_SEQUENCE

type Clean = (text: string) => string

function fromError(error: NodemailerError, clean: Clean): MailAnswer {
  const { code, command, response, rejectedErrors } = error
  const status = response === undefined ? null : codeOf(response)
  if (code !== 'EENVELOPE' && code !== 'EMESSAGE') return unusable(wordsFor(error), status)
  if (response === undefined) {
    // Told by the library before a word of the mail was sent.
    return { ...unusable(clean(`The mail cannot be sent: ${error.message}.`)), permanent: true }
  }
  if (status === null) return unusable(NO_SMTP)
  if (status === LOGIN_NEEDED)
    return unusable('The mail server asks for a login: put one into SMTP_URL.', status)
  return {
    sent: false,
    status,
    reply: clean(rejectedErrors?.map(replyTo).join('\n') ?? response),
    error: clean(`The mail server answered ${response.replaceAll(/\s+/g, ' ').slice(0, MAX_ERROR_LENGTH)}`),
    permanent: isPermanent(status),
    refused: command !== 'MAIL FROM',
  }
}

/** The server could not be used, which says nothing of the recipients. */
const unusable = (error: string, status: number | null = null): MailAnswer => ({
  sent: false,
  status,
  reply: null,
  error,
  permanent: false,
  refused: false,
})

/** What Node calls failures of TLS, such as `CERT_HAS_EXPIRED`. */
const TLS_FAILURE = /CERT|TLS|SSL|SIGNATURE|HANDSHAKE|ISSUER/

/** Not the library's own words: they may tell where the server is and what it answered to a login. */
function wordsFor({ code = '', originalCode = '' }: NodemailerError): string {
  const reason = /^[A-Z_0-9]+$/.test(originalCode) ? ` (${originalCode})` : ''
  switch (TLS_FAILURE.test(originalCode) ? 'ETLS' : code) {
    case 'EAUTH':
    case 'ENOAUTH':
      return 'The mail server refused the login: check SMTP_URL.'
    case 'ETLS':
      return `No secure connection to the mail server could be made${reason}.`
    case 'EDNS':
      return 'The name of the mail server could not be resolved: check SMTP_URL.'
    case 'ETIMEDOUT':
      return 'The mail server did not answer in time.'
    case 'EPROTOCOL':
      return NO_SMTP
    default:
      return `The mail server could not be reached, or closed the connection${reason}.`
  }
}
