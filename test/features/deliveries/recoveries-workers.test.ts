import { sql } from 'kysely'
import t from 'tap'
import { allEnded, countOf, recovered } from '../../helpers/owed.ts'
import { messageIds, startReplays } from '../../helpers/replays.ts'
import { BACKENDS } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

for (const backend of BACKENDS) {
  t.test(
    `whoever dies in the middle is followed by another, and nothing is doubled (${backend})`,
    async (t) => {
      const { service, another, receiver, replay } = await startReplays(t, { backend, events: 1500 })
      receiver.answer = (response) => setTimeout(() => response.end(), 20)
      const id = await replay()
      await until(() => receiver.received.length > 50, 'it is in the middle')
      await service.close()
      const atClose = receiver.received.length
      t.ok(atClose < 1500, `${atClose} were sent before it closed`)
      const next = await another()
      await until(async () => {
        const { rows } = await sql<{
          status: string
        }>`select status from recoveries where id = ${id}`.execute(next.platform.db)
        return rows[0]?.status === 'completed'
      }, 'it is completed')
      await allEnded(next)
      t.equal(await countOf(next, 'succeeded'), 1500)
      t.equal(messageIds(receiver.received).size, 1500)
      t.equal(receiver.received.length, 1500, 'nothing twice')
    },
  )

  t.test(`two workers make each delivery once (${backend})`, async (t) => {
    const { service, another, client, receiver, replay } = await startReplays(t, { backend, events: 1000 })
    await another()
    const ids = [await replay({ toPosition: 500 }), await replay({ fromPosition: 501 })]
    for (const id of ids)
      t.match(await recovered(client, id), { status: 'completed', examined: 500, affected: 500 })
    await allEnded(service)
    t.equal(receiver.received.length, 1000)
    t.equal(messageIds(receiver.received).size, 1000)
  })
}
