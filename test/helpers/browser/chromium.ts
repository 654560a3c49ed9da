import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface BrowserPage {
  /** The page's own, which is none of the service's. */
  origin: string
  page: Page
  /** What it complained of: errors that nobody caught. */
  errors: string[]
}

/** Opens an empty page in the system's Chromium; both end with the test. */
export async function openPage(t: Test): Promise<BrowserPage> {
  const executablePath = process.env['TEST_CHROMIUM']
  if (executablePath === undefined) throw new Error('Run tests with `npm test -- FILE`: it finds Chromium.')
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
    response.end('<!doctype html><title>An observer</title>')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const browser = await chromium.launch({ executablePath, args: ARGS })
  t.teardown(async () => {
    await browser.close()
    server.closeAllConnections()
    server.close()
  })
  const page = await browser.newPage()
  const errors: string[] = []
  page.on('pageerror', (error) => errors.push(String(error)))
  await page.goto(origin)
  return { origin, page, errors }
}
