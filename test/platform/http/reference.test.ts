import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { request } from 'undici'
import { openPage } from '../../helpers/browser/chromium.ts'
import { call, startService } from '../../helpers/service.ts'

t.test('the reference at /docs', async (t) => {
  const service = await startService(t, { worker: false })
  const { url } = service

  t.test('bears the name, finds an operation, tries one, and asks nobody else', async (t) => {
    const { page, errors } = await openPage(t)
    const asked: string[] = []
    const complaints: string[] = []
    page.on('request', (sent) => asked.push(sent.url()))
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
    })
    await page.goto(`${url}/docs`)
    await page.getByRole('heading', { name: 'Heliograph', level: 1 }).waitFor()
    t.equal(await page.title(), 'Heliograph')
    t.match(await page.locator('link[rel="icon"]').getAttribute('href'), /^data:image\/svg\+xml,/)

    const found = 'Give a subscription a new signing secret'
    t.equal(await page.getByRole('heading', { name: found }).count(), 0, 'it is not in sight')
    await page.keyboard.press('Control+k')
    await page.getByPlaceholder('Search').last().fill('rotate secret')
    await page.getByRole('option', { name: found }).click()
    await page.getByRole('heading', { name: found }).waitFor()
    t.match(decodeURIComponent(page.url()), /rotate-secret$/, 'it has an address of its own')

    const client = await service.client()
    await page.getByPlaceholder('Token').first().fill(client.key)
    await page.keyboard.press('Control+k')
    await page.getByPlaceholder('Search').last().fill('append an event')
    await page.getByRole('option', { name: 'Append an event' }).first().click()
    await page
      .getByRole('button', { name: /^Test Request/ })
      .first()
      .click()
    const answered = page.waitForResponse((response) => response.request().method() === 'POST')
    await page.getByRole('button', { name: /^Send/ }).first().click()
    const answer = await answered
    t.strictSame([answer.url(), answer.status()], [`${url}/events`, 201], 'the example is taken as it stands')
    const { data } = (await client.get('/events')).body
    t.match(data, [{ type: 'order.placed', externalId: 'A-1001' }])

    t.ok(asked.includes(`${url}/openapi.json`))
    const elsewhere = asked.filter(
      (address) => !/^(data|blob):/.test(address) && !address.startsWith(`${url}/`),
    )
    t.strictSame(elsewhere, [])
    t.strictSame([...errors, ...complaints], [], 'and the policy hinders nothing')
  })

  t.test('runs no script but its own', async (t) => {
    const { status, headers } = await call(url, 'GET', '/docs/')
    t.equal(status, 200)
    t.match(headers['content-type'], /^text\/html/)
    const policy = String(headers['content-security-policy']).split('; ')
    t.match(
      policy.find((directive) => directive.startsWith('script-src')),
      /^script-src 'self' 'sha256-[A-Za-z0-9+/]{43}='$/,
    )
    for (const directive of ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"])
      t.ok(policy.includes(directive), directive)
  })

  t.test('has a script that is sent compressed, and once', async (t) => {
    const path = '/docs/reference.js'
    const plain = await call(url, 'GET', path)
    t.match(plain.headers, { 'content-type': 'text/javascript; charset=utf-8', vary: /accept-encoding/ })
    t.equal(plain.headers['content-encoding'], undefined)
    const zipped = await request(url + path, { headers: { 'accept-encoding': 'br, gzip' } })
    t.equal(zipped.headers['content-encoding'], 'gzip')
    const bytes = Buffer.from(await zipped.body.arrayBuffer())
    t.ok(bytes.length < plain.text.length / 2)
    t.equal(gunzipSync(bytes).toString(), plain.text)
    const etag = String(plain.headers.etag)
    t.equal((await call(url, 'GET', path, { headers: { 'if-none-match': etag } })).status, 304)
  })
})
