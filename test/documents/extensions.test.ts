import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { writeExtension } from '../helpers/extension-module.ts'
import { ADMIN_KEY, call, startService } from '../helpers/service.ts'

const ROOT = join(import.meta.dirname, '../..')

t.test('the example of docs/extensions.md runs as it is written', async (t) => {
  const page = await readFile(join(ROOT, 'docs/extensions.md'), 'utf8')
  const [, example = ''] = /```ts\n(.*?)```/s.exec(page) ?? []
  const path = await writeExtension(t, example)
  const { url, ...service } = await startService(t, {
    worker: false,
    settings: { EXTENSIONS: path, LARGE_ORDER_TOTAL: '500' },
  })
  const client = await service.client()
  for (const [order_id, total] of Object.entries({ small: 499, large: 500 }))
    await client.post('/events', { type: 'order.placed', payload: { order_id, total } })
  const { body: placed } = await client.get('/events?type=order.placed&order=desc')
  const { body: large } = await client.get('/events?type=order.large')
  t.match(large.data, [{ payload: { order_id: 'large', total: 500 }, originEventId: placed.data[0].id }])
  t.strictSame((await client.get('/large-orders/count')).body, { seen: 1 })
  t.equal((await client.post('/events', { type: 'order.large', payload: {} })).status, 422)
  const { body: key } = await call(url, 'POST', `/apps/${client.appId}/api-keys`, {
    key: ADMIN_KEY,
    body: { name: 'reads', scopes: ['events:read'] },
  })
  t.equal((await call(url, 'GET', '/large-orders/count', { key: key.apiKey })).status, 403)
})

t.test('the page names all that an extension may declare and is given', async (t) => {
  const page = await readFile(join(ROOT, 'docs/extensions.md'), 'utf8')
  const sources = await Promise.all(
    ['src/extension/extension.ts', 'src/declaration.ts'].map((file) => readFile(join(ROOT, file), 'utf8')),
  )
  const membersOf = (name: string): string[] => {
    const [, body = ''] =
      new RegExp(`export interface ${name}\\b.*?\\{\\n(.*?)\\n\\}`, 's').exec(sources.join('\n')) ?? []
    return [...body.matchAll(/^ {2}(\w+)[?<(:]/gm)].map(([, member = '']) => member)
  }
  const inside = new Set(['deriveSettings', 'topics', 'queues'])
  for (const name of ['ExtensionContext', 'Extension', 'Declaration']) {
    const members = membersOf(name)
    t.ok(members.length > 4, `${name} has ${members.length} members`)
    for (const member of members.filter((each) => !inside.has(each)))
      t.match(page, new RegExp(`\\b${member}\\b`), `${name}.${member}`)
  }
})
