import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import Fastify, { type FastifyInstance } from 'fastify'
import { sha256 } from '../secrets/secret-box.ts'
import { keepAnswer } from './kept-answer.ts'

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="7" fill="#f59e0b"/><path d="M16 1v5M16 26v5M1 16h5M26 16h5M5.4 5.4l3.5 3.5M23.1 23.1l3.5 3.5M5.4 26.6l3.5-3.5M23.1 8.9l3.5-3.5" stroke="#f59e0b" stroke-width="3" stroke-linecap="round"/></svg>`

const SCRIPT = 'reference.js'
const schema = { hide: true }

interface Reference {
  page: string
  /** The page's Content-Security-Policy: it loads from, and talks to, this service only. */
  policy: string
  script: string
  zippedScript: Buffer
  etag: string
}

/** Serves the OpenAPI document for people at `/docs`: searchable, and without a request to anywhere else. */
export function registerReference(app: FastifyInstance): void {
  let reference: Promise<Reference> | undefined
  const load = (): Promise<Reference> => (reference ??= render())

  // All that the page needs is named relative to it, so that it works behind a proxy that adds a prefix.
  app.get('/docs', { schema }, (_request, reply) => reply.redirect('docs/', 301))

  app.get('/docs/', { schema }, async (_request, reply) => {
    const { page, policy } = await load()
    return reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(page)
  })

  app.get(`/docs/${SCRIPT}`, { schema }, async (request, reply) => {
    const { script, zippedScript, etag } = await load()
    void reply.header('vary', 'accept-encoding').type('text/javascript; charset=utf-8')
    if (keepAnswer(request, reply, etag)) return reply.send()
    if (request.encoding(['gzip', 'identity']) !== 'gzip') return reply.send(script)
    return reply.header('content-encoding', 'gzip').send(zippedScript)
  })
}

/**
 * Has the library render its page and its script, once, when the first person asks: it is five megabytes, which
 * a start should not wait for. It is a plugin, so it gets a server of its own that never listens.
 */
async function render(): Promise<Reference> {
  const { default: apiReference } = await import('@scalar/fastify-api-reference')
  const renderer = Fastify()
  await renderer.register(apiReference, {
    routePrefix: '/',
    configuration: {
      url: '../openapi.json',
      cdn: SCRIPT,
      pageTitle: 'Heliograph',
      favicon: `data:image/svg+xml,${encodeURIComponent(ICON)}`,
      theme: 'default',
      defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
      // Nothing of the page goes to its makers, or depends on them.
      withDefaultFonts: false,
      telemetry: false,
      agent: { disabled: true },
      mcp: { disabled: true },
      hideClientButton: true,
      showDeveloperTools: 'never',
      // A key that someone tries a request with is gone with the page.
      persistAuth: false,
    },
  })
  const [{ body: page }, { body: script }] = await Promise.all([
    renderer.inject('/'),
    renderer.inject('/js/scalar.js'),
  ])
  await renderer.close()
  return {
    page,
    policy: policyOf(page),
    script,
    zippedScript: await promisify(gzip)(script),
    etag: `"${sha256(script).toString('base64url')}"`,
  }
}

/** Lets run what is in the page, by its hash, and the script; styles are set by script, with `style` attributes. */
function policyOf(page: string): string {
  const inline = [...page.matchAll(/<script[^>]*>([^<]+)<\/script>/g)].map(
    ([, text = '']) => `'sha256-${sha256(text).toString('base64')}'`,
  )
  return [
    `default-src 'none'`,
    `script-src 'self' ${inline.join(' ')}`,
    `style-src 'unsafe-inline'`,
    `img-src 'self' data:`,
    `connect-src 'self'`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ].join('; ')
}
