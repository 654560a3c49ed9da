/** With `expiresAt`, as `POST /observation/tokens` answers, a token is replaced before it ends. */

/** How a connection ended, as far as the server told. */

/** A connection that held for so long was a good one: the next attempt is a first one. */
const STABLE_MS = 10_000
/** How long to stay away from a server that has too many connections and does not say. */
const TOO_MANY_MS = 10_000
const TOO_MANY = 1013
const UNAUTHORIZED = 4401
/** The client itself did something wrong, and would do so again. */
const FINAL_CODES = new Set([1002, 1003, 1007, 1009])

/** Gets tokens, and keeps one for as long as it can be used. */
function createTokens(source) {
  let kept
  let endsAt = Infinity
  const tokens = {
    isFixed: typeof source === 'string',
    async get() {
      return kept !== undefined && Date.now() < endsAt - 1000 ? kept : tokens.renew()
    },
    async renew() {
      const got = typeof source === 'string' ? source : await source()
      kept = typeof got === 'string' ? got : got.token
      tokens.endsAt(typeof got === 'string' ? null : got.expiresAt)
      return kept
    },
    /** One that is over by our clock although it is new: the clock is wrong, and the server says when it ends. */
    endsAt(time) {
      const end = Date.parse(String(time))
      endsAt = end > Date.now() ? end : Infinity
    },
    /** How long until it should be replaced; undefined when that is not known or it is too late. */
    dueMs() {
      const left = endsAt - Date.now()
      return left > 0 && left < Infinity ? Math.min(Math.max(left * 0.8, 500), 2 ** 31 - 1) : undefined
    },
    forget: () => void (kept = undefined),
  }
  return tokens
}

/** What both transports share: which URL comes next, with which token, and after how long. */
export function createLink(options, open) {
  const urls = [options.url].flat().map((url) => new URL(url).href.replace(/\/+$/, ''))
  const [least, most] = options.backoffMs ?? [250, 30_000]
  const tokens = createTokens(options.token)
  let [attempt, turn] = [0, 0]
  let openedAt
  let timer
  const link = {
    tokens,
    isClosed: false,
    async start() {
      const url = urls[turn % urls.length] ?? ''
      options.onStatus?.('connecting', { url })
      const token = await tokens.get().catch((error) => {
        link.retry({ reason: `There is no token: ${String(error)}` })
      })
      if (token !== undefined && !link.isClosed) open(url, token)
    },
    opened() {
      openedAt = Date.now()
      options.onStatus?.('open', { url: urls[turn % urls.length] ?? '' })
    },
    retry({ code, reason, retryMs = code === TOO_MANY ? TOO_MANY_MS : 0 }) {
      if (link.isClosed) return
      if (FINAL_CODES.has(code ?? 0) || (code === UNAUTHORIZED && tokens.isFixed))
        return link.close({ code, reason })
      // A browser does not tell a refusal from a failure: the token may have been the reason.
      if (code === UNAUTHORIZED || openedAt === undefined) tokens.forget()
      if (code !== UNAUTHORIZED) turn += 1
      attempt = openedAt !== undefined && Date.now() - openedAt > STABLE_MS ? 0 : attempt + 1
      openedAt = undefined
      const backoff = Math.min(most, least * 2 ** (attempt - 1)) * (0.5 + Math.random() / 2)
      const waitMs = Math.max(retryMs, backoff)
      timer = setTimeout(() => void link.start(), waitMs)
      options.onStatus?.('waiting', { code, reason, retryMs: Math.round(waitMs) })
    },
    close(end) {
      clearTimeout(timer)
      if (!link.isClosed) options.onStatus?.('closed', end)
      link.isClosed = true
    },
  }
  return link
}
