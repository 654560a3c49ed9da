import { openLiveProcess } from './live-process.ts'
import { until } from './until.ts'

/** A process that some members are present through, for a test to kill: `node … APP_ID ROOM MEMBER…`. */
const [appId = '', room = '', ...members] = process.argv.slice(2)
const environment = process.env as Record<'DATABASE_URL' | 'LEASE_MS', string> & { REDIS_URL?: string }

const live = await openLiveProcess(
  environment.DATABASE_URL,
  environment.REDIS_URL,
  Number(environment.LEASE_MS),
)
for (const id of members) live.presence.enter(appId, room, crypto.randomUUID(), { id, info: null })
await until(async () => {
  const there = new Set((await live.presence.list(appId, room, 1_000)).map(({ id }) => id))
  return members.every((id) => there.has(id))
}, 'all are there')
process.stdout.write('all are there\n')
process.once('SIGTERM', () => void live.close())
