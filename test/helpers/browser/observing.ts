import type { Page } from 'playwright-core'
import type * as clientModule from '../../../clients/browser/observer.ts'

/** What a page was given, by room, and what became of its connections. */
export interface SeenInPage {
  /** Over the client's WebSocket. */
  client: Record<string, (number | null)[]>
  /** Over the client's server-sent events. */
  watch: Record<string, (number | null)[]>
  /** Over an EventSource as the browser has it. */
  plain: Record<string, (number | null)[]>
  /** Where the WebSocket was, each time that it was open. */
  opened: string[]
  statuses: clientModule.Status[]
  lost: number
  /** How often the EventSource was open. */
  plainOpened: number
}

interface PageGlobals {
  seen: SeenInPage
  newToken(): Promise<{ token: string; expiresAt: string }>
}

/** How a page observes. */
export interface Observation {
  /** URL of the client's module. */
  module: string
  /** Of the API processes, for the client. */
  urls: string[]
  /** For the EventSource, which knows one only. */
  plainUrl: string
  rooms: string[]
}

/**
 * Has a page observe rooms from the beginning of the log: with the client, and with a plain EventSource.
 *
 * @param newToken called by the page whenever it needs one
 */
export async function observeInPage(
  page: Page,
  newToken: PageGlobals['newToken'],
  observation: Observation,
): Promise<void> {
  await page.exposeFunction('newToken', newToken)
  await page.evaluate(async ({ module, urls, plainUrl, rooms }) => {
    const globals = globalThis as typeof globalThis & PageGlobals
    const empty = () => Object.fromEntries(rooms.map((room) => [room, [] as (number | null)[]]))
    const seen: SeenInPage = {
      client: empty(),
      watch: empty(),
      plain: empty(),
      opened: [],
      statuses: [],
      lost: 0,
      plainOpened: 0,
    }
    globals.seen = seen
    const { connect, watch } = (await import(module)) as typeof clientModule
    const onLost = () => (seen.lost += 1)

    const observer = connect({
      url: urls,
      token: () => globals.newToken(),
      onStatus(status, { url }) {
        seen.statuses.push(status)
        if (status === 'open' && url !== undefined) seen.opened.push(url)
      },
    })
    for (const room of rooms)
      observer.join(
        room,
        { after: 0 },
        { onMessage: ({ position }) => seen.client[room]?.push(position), onLost },
      )
    watch(
      { url: urls, token: () => globals.newToken(), rooms, after: 0 },
      { onMessage: ({ room, position }) => seen.watch[room]?.push(position), onLost },
    )

    const { token } = await globals.newToken()
    const query = new URLSearchParams({ rooms: rooms.join(), after: '0', token })
    const source = new EventSource(`${plainUrl}/observation/sse?${query.toString()}`)
    source.addEventListener('open', () => (seen.plainOpened += 1))
    source.addEventListener('message', ({ data }) => {
      const { room, position } = JSON.parse(String(data)) as { room: string; position: number }
      seen.plain[room]?.push(position)
    })
  }, observation)
}

export const seenIn = (page: Page): Promise<SeenInPage> =>
  page.evaluate(() => (globalThis as typeof globalThis & PageGlobals).seen)
