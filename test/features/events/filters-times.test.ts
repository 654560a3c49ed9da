import t from 'tap'
import { newId } from '../../../src/platform/identifiers/ids.ts'
import { positionsOf } from '../../helpers/pages.ts'
import { startService, type Service } from '../../helpers/service.ts'

/** When the events at the positions 1, 2, 3 … were appended, to the microsecond. */
const TIMES = [
  '2026-03-01T10:00:00.000000Z',
  '2026-03-01T10:00:00.000999Z',
  '2026-03-01T10:00:00.001000Z',
  '2026-03-01T10:00:00.001000Z',
  '2026-03-01T10:00:00.001999Z',
  '2026-03-01T10:00:00.002000Z',
  '2026-03-01T10:00:07.500000Z',
]

/** Times are given by the database, so what they are is put there. */
async function appendAt(service: Service, appId: string, times: readonly string[]): Promise<void> {
  for (const [index, at] of times.entries()) {
    await service.platform.pool.query(
      `insert into events (app_id, id, position, event_type_id, type, payload, edges, created_at)
       values ($1, $2, $3, $1, $4, '{}', '[]', $5)`,
      [appId, newId(), index + 1, index % 2 === 0 ? 'even' : 'odd', at],
    )
  }
  await service.platform.pool.query('update app_logs set head = $2 where app_id = $1', [appId, times.length])
}

t.test('bounds of time are inclusive, to the millisecond', async (t) => {
  const service = await startService(t, { worker: false })
  const client = await service.client()
  await appendAt(service, client.appId, TIMES)
  const cases: Record<string, number[]> = {
    'createdAtGte=2026-03-01T10:00:00Z': [1, 2, 3, 4, 5, 6, 7],
    'createdAtGte=2026-03-01T10:00:00.001Z': [3, 4, 5, 6, 7],
    'createdAtGte=2026-03-01T11:00:00.001%2B01:00': [3, 4, 5, 6, 7],
    'createdAtGte=2026-03-01t10:00:00.001z': [3, 4, 5, 6, 7],
    'createdAtGte=2026-03-01T10:00:00.003Z': [7],
    'createdAtGte=2026-03-01T10:00:07.500Z': [7],
    'createdAtGte=2026-03-01T10:00:07.501Z': [],
    'createdAtGte=9999-12-31T23:59:59.999Z': [],
    'createdAtGte=0000-01-01T00:00:00Z': [1, 2, 3, 4, 5, 6, 7],
    'createdAtLte=9999-12-31T23:59:59.999Z': [1, 2, 3, 4, 5, 6, 7],
    'createdAtLte=0000-01-01T00:00:00Z': [],
    'createdAtLte=2026-03-01T09:59:59.999Z': [],
    'createdAtLte=2026-03-01T10:00:00Z': [1, 2],
    'createdAtLte=2026-03-01T10:00:00.001Z': [1, 2, 3, 4, 5],
    'createdAtLte=2026-03-01T10:00:00.002Z': [1, 2, 3, 4, 5, 6],
    'createdAtGte=2026-03-01T10:00:00.001Z&createdAtLte=2026-03-01T10:00:00.001Z': [3, 4, 5],
    'createdAtGte=2026-03-01T10:00:00.001Z&createdAtLte=2026-03-01T10:00:00.002Z&type=odd': [4, 6],
    'createdAtGte=2026-03-01T10:00:00.001Z&type=odd&type=even&status=completed': [3, 4, 5, 6, 7],
    'createdAtGte=2026-03-01T10:00:00.003Z&createdAtLte=2026-03-01T10:00:07Z': [],
    'createdAtGte=2026-03-01T10:00:07Z&createdAtLte=2026-03-01T10:00:00Z': [],
  }
  for (const [query, wanted] of Object.entries(cases)) {
    t.strictSame(await positionsOf(client, `/events?order=asc&limit=2&${query}`), wanted, query)
    t.strictSame(
      await positionsOf(client, `/events?limit=2&${query}`),
      wanted.toReversed(),
      `${query}, newest first`,
    )
  }

  const { body: page } = await client.get('/events?order=asc')
  for (const { createdAt } of page.data) {
    const same = page.data.filter((event: { createdAt: string }) => event.createdAt === createdAt)
    t.strictSame(
      await positionsOf(client, `/events?order=asc&createdAtGte=${createdAt}&createdAtLte=${createdAt}`),
      same.map(({ position }: { position: number }) => position),
      `the time that is answered finds what has it: ${createdAt}`,
    )
  }
})

t.test('bounds of time, in logs of any length', async (t) => {
  const service = await startService(t, { worker: false })
  for (let length = 0; length <= 9; length++) {
    const client = await service.client()
    const times = Array.from({ length }, (_, index) => `2026-03-01T10:00:0${index}.000Z`)
    await appendAt(service, client.appId, times)
    const all = times.map((_, index) => index + 1)
    for (let second = 0; second <= 9; second++) {
      const at = `2026-03-01T10:00:0${second}.000Z`
      t.strictSame(
        await positionsOf(client, `/events?order=asc&createdAtGte=${at}`),
        all.slice(second),
        `${length} from ${at}`,
      )
      t.strictSame(
        await positionsOf(client, `/events?order=asc&createdAtLte=${at}`),
        all.slice(0, second + 1),
        `${length} to ${at}`,
      )
    }
  }
})
