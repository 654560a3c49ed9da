import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import t from 'tap'
import { ADMIN_KEY, call, startService, type Client } from '../helpers/service.ts'

const UNKNOWN_ID = '019380f5-7a1c-7e64-9d0b-3a5f0f2c1b77'
/** Are public and may be kept, with or without a key. */
const KEPT = /^\/(docs\/reference\.js$|observation\/client\/|apps\/[^/]+\/\.well-known\/jwks\.json$)/
/** Are in no document. */
const HIDDEN = ['/docs', '/docs/', '/docs/reference.js', '/observation/client/link.js', '/nothing', '/%zz']
const STREAMS: Record<string, string> = {
  '/events/stream': '/events/stream?after=0',
  '/observation/sse': '/observation/sse?rooms=a',
}

interface Route {
  method: string
  path: string
}

/** Sends a request without a body, and looks at no more than the head of the answer. */
async function head(baseUrl: string, { method, path }: Route, key?: string): Promise<IncomingMessage> {
  const sent = httpRequest(baseUrl + path, {
    method,
    agent: false,
    headers: { ...(key && { authorization: `Bearer ${key}` }), connection: 'close' },
  })
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  return answer
}

t.test('every route', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const other = await service.client()
  const { body: document } = await call(service.url, 'GET', '/openapi.json')
  const routes = Object.entries(document.paths as Record<string, object>).flatMap(([template, operations]) =>
    Object.keys(operations).map((method): Route => {
      const path = template.replaceAll(/\{(\w+)\}/g, (_, name) =>
        template.startsWith('/apps') && name !== 'keyId' ? other.appId : UNKNOWN_ID,
      )
      return { method: method.toUpperCase(), path: STREAMS[path] ?? path }
    }),
  )
  routes.push(...HIDDEN.map((path) => ({ method: 'GET', path })))
  t.ok(routes.length > 50, `${routes.length} routes`)
  t.strictSame(
    Object.values(document.paths as Record<string, object>).filter((operations) => 'head' in operations),
    [],
    'HEAD is no operation of its own in the document',
  )
  const keyFor = ({ path }: Route, { key }: Client): string => (path.startsWith('/apps') ? ADMIN_KEY : key)

  t.test('answers HEAD as GET, without a body', async (t) => {
    for (const route of routes.filter(({ method }) => method === 'GET')) {
      const key = keyFor(route, client)
      const get = await head(service.url, route, key)
      get.destroy()
      const answer = await head(service.url, { ...route, method: 'HEAD' }, key)
      const names = ['content-type', 'cache-control', 'etag', 'allow', 'vary']
      const of = ({ statusCode, headers }: IncomingMessage) => [
        statusCode,
        ...names.map((name) => headers[name]),
      ]
      let body = ''
      for await (const chunk of answer) body += String(chunk)
      t.strictSame([of(answer), body], [of(get), ''], `HEAD ${route.path}`)
    }
  })

  t.test(
    'says that no cache may keep what a key was needed for, and that types are what they say',
    async (t) => {
      for (const route of routes) {
        for (const key of [undefined, 'wrong', keyFor(route, client)]) {
          const answer = await head(service.url, route, key)
          answer.destroy()
          const { 'x-content-type-options': sniffing, 'cache-control': cache } = answer.headers
          const what = `${route.method} ${route.path} ${answer.statusCode}`
          if (sniffing !== 'nosniff') t.fail(`${what}: ${String(sniffing)}`)
          if (
            KEPT.test(route.path)
              ? !cache?.includes('public')
              : key !== undefined && !cache?.includes('no-store')
          )
            t.fail(`${what}: ${cache}`)
        }
      }
      t.pass('all of them')
    },
  )

  t.test('is named where another method is asked for', async (t) => {
    const { headers } = await head(service.url, { method: 'PUT', path: '/events' }, client.key)
    t.equal(headers.allow, 'GET, HEAD, POST')
  })
})
