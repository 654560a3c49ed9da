/** A request that got no response. `code` is stable; the message is for a person. */
export class OutboundError extends Error {
  override name = 'OutboundError'
  readonly code: 'address-refused' | 'timeout' | 'connection-failed'

  constructor(code: OutboundError['code'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const CLOSED = 'The connection was closed before the response was complete.'
const NOT_HTTP = 'The response is not valid HTTP/1.1.'

/** By the code of the error. */
const WORDS: Record<string, string> = {
  ECONNRESET: 'The connection was reset before the response was complete.',
  EPIPE: CLOSED,
  ERR_INVALID_URL: 'The URL is not valid.',
  UND_ERR_INVALID_ARG: 'The URL or a header of the request is not valid.',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'The body of the request is not as long as its Content-Length says.',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'The body of the response is not as long as its Content-Length says.',
  UND_ERR_DESTROYED: 'The service stopped before the response was complete.',
}

/** What went wrong in sending a request, in words for the owner of the URL. */
export function toOutboundError(error: unknown): OutboundError {
  if (error instanceof OutboundError) return error
  const code = codeOf(error)
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'ETIMEDOUT')
    return new OutboundError('timeout', 'The connection could not be made in time.', { cause: error })
  return code === 'UND_ERR_BODY_TIMEOUT'
    ? new OutboundError('timeout', 'The response stopped before it was complete.', { cause: error })
    : new OutboundError('connection-failed', wordsFor(error, code), { cause: error })
}

const codeOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? error.code : ''
  return typeof code === 'string' ? code : ''
}

function wordsFor(error: unknown, code: string): string {
  if (!(error instanceof Error)) return 'The request failed.'
  const words = WORDS[code]
  if (words !== undefined) return words
  if (code === 'UND_ERR_SOCKET') return error.message.startsWith('bad ') ? NOT_HTTP : CLOSED
  if (error.name === 'HTTPParserError') return `${error.message}.`
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) return `The name of the host was not found (${code}).`
  // One that the TLS library tells has its words in `reason`; the message is for those who know its source.
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    const reason = 'reason' in error && typeof error.reason === 'string' ? ` (${error.reason})` : ''
    return `No TLS connection could be made${reason}.`
  }
  // After the semicolon there is advice for who runs the service.
  if (/CERT|UNABLE_TO_/.test(code)) return `The TLS certificate is not valid: ${error.message.split(';')[0]}.`
  if (code === 'ERR_ASSERTION') return NOT_HTTP
  // Of several addresses that were tried, each has its own error.
  if (error instanceof AggregateError) {
    return `The connection failed: ${error.errors.map((each) => (each as Error).message).join(', ')}.`
  }
  return `The connection failed: ${error.message || error.name}.`
}
