import t from 'tap'
import { expectProblem } from '../../helpers/problems.ts'
import { startService, type Answer, type Client } from '../../helpers/service.ts'

/** Hosts that stand for addresses which are not public, in every spelling that a URL knows. */
const PRIVATE = [
  '169.254.169.254',
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0177.0.0.1',
  '127.0.0.1.',
  '１２７.0.0.1',
  '0',
  '10.0.0.1',
  '192.168.1.1',
  '100.64.0.1',
  '[::1]',
  '[::]',
  '[fc00::1]',
  '[fe80::1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[2002:7f00:1::]',
]
const PUBLIC = ['example.com', 'localhost', '8.8.8.8', '[2606:4700::1111]', 'a.127.0.0.1.example']

const SECRET = `whsec_${Buffer.alloc(24, 1).toString('base64')}`
const ACCOUNTS: Record<string, { settings: Record<string, string>; credentials: Record<string, string> }> = {
  http: { settings: {}, credentials: { secret: SECRET } },
  slack: { settings: { botUserId: 'U0123' }, credentials: { botToken: 'xoxb-1', signingSecret: 's' } },
  whatsapp: {
    settings: { phoneNumberId: '1' },
    credentials: { accessToken: 'a', appSecret: 'b', verifyToken: 'c' },
  },
}
const account = (platform: string, url: string) => ({
  settings: { ...ACCOUNTS[platform]?.settings, [platform === 'http' ? 'url' : 'apiUrl']: url },
  credentials: ACCOUNTS[platform]?.credentials,
})

const subscribe = (client: Client, type: string, url: string): Promise<Answer> =>
  client.post('/subscriptions', { name: 'x', eventPatterns: ['*'], destination: { type, url } })
const connect = (client: Client, platform: string, url: string): Promise<Answer> =>
  client.post('/platform-connections', { platform, name: 'x', ...account(platform, url) })

const refused = { status: 422, type: 'invalid-destination' }

t.test('a literal private address is refused when it is given', async (t) => {
  const service = await startService(t, { worker: false, settings: { OUTBOUND_ALLOW_CIDRS: '10.9.0.0/16' } })
  const client = await service.client()
  const changed = await subscribe(client, 'webhook', 'https://example.com/')
  const connection = await connect(client, 'http', 'https://example.com/')

  for (const host of PRIVATE) {
    const url = `http://${host}:8080/latest/meta-data`
    const pointers = ['/destination/url']
    for (const type of ['webhook', 'slack', 'discord'])
      expectProblem(t, await subscribe(client, type, url), { ...refused, pointers }, `${type} ${host}`)
    const change = await client.patch(`/subscriptions/${changed.body.id}`, {
      destination: { type: 'webhook', url },
    })
    expectProblem(t, change, { ...refused, pointers }, `changed to ${host}`)
    t.match(change.body.detail, /OUTBOUND_ALLOW_CIDRS/, `${host}: what to set is told`)
    for (const platform of Object.keys(ACCOUNTS)) {
      const setting = `/settings/${platform === 'http' ? 'url' : 'apiUrl'}`
      const answer = await connect(client, platform, url)
      expectProblem(t, answer, { ...refused, pointers: [setting] }, `${platform} ${host}`)
    }
    const { settings } = account('http', url)
    const moved = await client.patch(`/platform-connections/${connection.body.id}`, { settings })
    expectProblem(t, moved, { ...refused, pointers: ['/settings/url'] }, `a connection moved to ${host}`)
  }
  const { body } = await client.get('/subscriptions')
  t.equal(body.data.length, 1, 'nothing was stored')
  t.equal(body.data[0].destination.url, 'https://example.com/')

  const query = `mutation { createWebhookSubscription(name: "x", targetUrl: "http://[fc00::1]/", eventPatterns: ["*"]) { id } }`
  const graph = await client.post('/graphql', { query })
  t.match(graph.body.errors[0], { message: /OUTBOUND_ALLOW_CIDRS/, extensions: { status: 422 } })

  for (const host of [...PUBLIC, '10.9.1.2', '[::ffff:10.9.1.2]'])
    t.equal((await subscribe(client, 'webhook', `http://${host}/`)).status, 201, `${host} is taken`)
})
