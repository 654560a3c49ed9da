import t from 'tap'
import { httpConnection } from '../../helpers/connections.ts'
import { startService } from '../../helpers/service.ts'

t.test('lists of entities', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  const { body: connection } = await client.post('/platform-connections', httpConnection())
  const platformConnectionId: string = connection.id

  const lists = {
    '/users': (number: number) => ({ name: `${number}` }),
    '/files': (number: number) => ({ filename: `${number}` }),
    '/platform-users': (number: number) => ({ platformConnectionId, externalId: `${number}` }),
  }
  for (const [path, bodyOf] of Object.entries(lists)) {
    t.test(path, async (t) => {
      const create = async (number: number): Promise<string> =>
        (await client.post(path, bodyOf(number))).body.id
      const page = async (query: string) => {
        const { status, body } = await client.get(`${path}?${query}`)
        t.equal(status, 200, query)
        const ids: string[] = body.data.map(({ id }: { id: string }) => id)
        return { ids, ...(body.pageInfo as { hasNextPage: boolean; endCursor: string | null }) }
      }
      // The connection brings a platform user and a user of its own.
      const { ids: there } = await page('')
      const made: string[] = []
      for (let number = 0; number < 60; number++) made.push(await create(number))
      const all = [...there, ...made]

      const plain = await page('')
      t.strictSame(plain.ids, all.slice(0, 50), 'oldest first, fifty unless told')
      t.equal(plain.hasNextPage, true)
      const rest = await page(`after=${plain.endCursor}`)
      t.strictSame(rest.ids, all.slice(50))
      t.equal(rest.hasNextPage, false)
      const end = await page(`after=${rest.endCursor}`)
      t.strictSame(end, { ids: [], hasNextPage: false, endCursor: null }, 'beyond the end')
      const exact = await page(`limit=${all.length}`)
      t.strictSame(exact.ids, all)
      t.equal(exact.hasNextPage, false, 'a page that is just full is the last')
      t.strictSame((await page('first=7')).ids, all.slice(0, 7), 'by the other name of limit')

      const seen: string[] = []
      let after = ''
      let later = ''
      for (let pages = 0; ; pages++) {
        const { ids, hasNextPage, endCursor } = await page(`limit=7${after}`)
        seen.push(...ids)
        if (!hasNextPage) break
        after = `&after=${endCursor}`
        // Neither what comes nor what goes meanwhile moves the others.
        if (pages === 2) later = await create(60)
        if (pages === 4) t.equal((await client.delete(`${path}/${ids.at(-1)}`)).status, 204)
      }
      t.strictSame(seen, [...all, later], 'page by page each is seen once')
    })
  }
})
