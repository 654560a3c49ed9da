import t from 'tap'
import type { Grant } from '../../../src/features/observation/contracts.ts'
import { createGrantWatch, type GrantWatch } from '../../../src/features/observation/access/grant-watch.ts'
import { createLocalBus } from '../../../src/platform/bus/local.ts'
import { ADMIN_KEY, call, startService } from '../../helpers/service.ts'
import { until } from '../../helpers/until.ts'

/** So that a watch that works ends at once, and one that waits for the next look does not within the test. */
const NEVER_MS = 3_600_000
/** Of what runs out within the test; a timer takes the shorter for nothing. */
const SOON_MS = 50

t.test('the grants of live connections', async (t) => {
  const service = await startService(t, { worker: false })
  const { keys } = service.features.apps
  const { bus, clock, log, db } = service.platform
  const client = await service.client()
  const path = `/apps/${client.appId}/api-keys`
  const newKey = async (): Promise<string> => {
    const { body } = await call(service.url, 'POST', path, { key: ADMIN_KEY, body: { name: 'some' } })
    return body.id
  }
  const revoke = (keyId: string) => call(service.url, 'DELETE', `${path}/${keyId}`, { key: ADMIN_KEY })
  /** As another process would, whose message to this one was lost. */
  const revokeSilently = (keyId: string) =>
    db.updateTable('api_keys').set({ revoked_at: new Date() }).where('id', '=', keyId).execute()
  const grantOf = (keyId: string, expiresAt?: number): Grant => ({
    appId: client.appId,
    keyId,
    rooms: ['**'],
    types: ['*'],
    publish: [],
    member: null,
    expiresAt,
  })
  const lasting = await newKey()
  const probe = await newKey()
  /** The bus takes a moment to listen. */
  const untilItListens = async (watch: GrantWatch): Promise<void> => {
    let heard = false
    watch.watch(grantOf(probe), () => (heard = true))
    await until(() => {
      bus.publish('key.revoked', probe)
      return heard
    }, 'the watch heard the bus')
  }

  t.test('end when their time is over', async (t) => {
    const watch = createGrantWatch({ keys, bus, clock, log, recheckMs: NEVER_MS })
    t.teardown(() => watch.close())
    const ends: string[] = []
    const begin = (name: string, expiresAt?: number) =>
      watch.watch(grantOf(lasting, expiresAt), (reason) => ends.push(`${name} ${reason}`))
    begin('lasting')
    begin('long', Date.now() + 2 ** 40)
    begin('over', Date.now() - 1)
    t.strictSame(ends, [], 'nothing ends before it began')
    begin('short', Date.now() + SOON_MS)
    begin('stopped', Date.now() + SOON_MS).stop()
    begin('renewed', Date.now() + SOON_MS).replace(grantOf(lasting, Date.now() + NEVER_MS))
    const shortened = begin('shortened', Date.now() + NEVER_MS)
    shortened.replace(grantOf(lasting, Date.now() + 2 * SOON_MS))
    await until(() => ends.length >= 3, 'three ended')
    t.strictSame(ends.toSorted(), ['over expired', 'short expired', 'shortened expired'])
    shortened.replace(grantOf(lasting, Date.now() - 1))
    begin('last', Date.now() + SOON_MS)
    await until(() => ends.includes('last expired'), 'the last ended')
    t.equal(ends.length, 4, 'what has ended does not begin again')
  })

  t.test('end by the clock that everything goes by', async (t) => {
    const set = { at: 1_000, asked: 0, now: () => ((set.asked += 1), set.at) }
    const watch = createGrantWatch({ keys, bus, clock: set, log, recheckMs: NEVER_MS })
    t.teardown(() => watch.close())
    const ends: string[] = []
    watch.watch(grantOf(lasting, 1_010), (reason) => ends.push(reason))
    await until(() => set.asked > 5, 'the timer ran out several times')
    t.strictSame(ends, [], 'it is still the same time')
    set.at = 1_010
    await until(() => ends.length > 0, 'it ended')
    t.strictSame(ends, ['expired'])
  })

  t.test('end at once when their key is revoked', async (t) => {
    const watch = createGrantWatch({ keys, bus, clock, log, recheckMs: NEVER_MS })
    t.teardown(() => watch.close())
    await untilItListens(watch)
    const [one, other, before, next] = [await newKey(), await newKey(), await newKey(), await newKey()]
    const ends: string[] = []
    const begin = (name: string, keyId: string) =>
      watch.watch(grantOf(keyId, Date.now() + NEVER_MS), (reason) => ends.push(`${name} ${reason}`))
    begin('first', one)
    begin('second', one)
    begin('other', other)
    begin('stopped', one).stop()
    begin('moved away', one).replace(grantOf(other))
    const moved = begin('moved to', other)
    moved.replace(grantOf(one))
    await revoke(one)
    await until(() => ends.length >= 3, 'three ended')
    t.strictSame(ends.toSorted(), ['first revoked', 'moved to revoked', 'second revoked'])
    moved.stop()

    await revoke(before)
    begin('revoked before', before)
    await until(() => ends.includes('revoked before revoked'), 'that ended')
    begin('changed', other).replace(grantOf(before))
    await until(() => ends.includes('changed revoked'), 'that ended')
    begin('last', next)
    await revoke(next)
    await until(() => ends.includes('last revoked'), 'the last ended')
    t.equal(ends.length, 6, 'and nothing else')
  })

  t.test('end soon when the bus lost the message', async (t) => {
    const watch = createGrantWatch({ keys, bus: createLocalBus(), clock, log, recheckMs: 20 })
    t.teardown(() => watch.close())
    const [one, other] = [await newKey(), await newKey()]
    const ends: string[] = []
    for (const [name, keyId] of Object.entries({ one, same: one, other, lasting }))
      watch.watch(grantOf(keyId), (reason) => ends.push(`${name} ${reason}`))
    await revokeSilently(one)
    await until(() => ends.length >= 2, 'both ended')
    t.strictSame(ends.toSorted(), ['one revoked', 'same revoked'])
    await revokeSilently(other)
    await until(() => ends.includes('other revoked'), 'that ended')
    t.equal(ends.length, 3)
  })

  t.test('stay while nobody can say whether their key is there', async (t) => {
    let asked = 0
    const blind = {
      ...keys,
      findRevoked: () => ((asked += 1), Promise.reject(new Error('no database'))),
      findById: () => Promise.reject(new Error('no database')),
    }
    const watch = createGrantWatch({ keys: blind, bus, clock, log, recheckMs: 5 })
    t.teardown(() => watch.close())
    await untilItListens(watch)
    const ends: string[] = []
    watch.watch(grantOf(lasting), (reason) => ends.push(reason))
    await until(() => asked > 2, 'it was tried again')
    t.strictSame(ends, [])
    bus.publish('key.revoked', lasting)
    await until(() => ends.length > 0, 'it ended')
    t.strictSame(ends, ['revoked'], 'the bus is enough')
  })

  t.test('end without a word with the process', async (t) => {
    const watch = createGrantWatch({ keys, bus, clock, log, recheckMs: NEVER_MS })
    const other = createGrantWatch({ keys, bus, clock, log, recheckMs: NEVER_MS })
    t.teardown(() => other.close())
    const ends: string[] = []
    watch.watch(grantOf(await newKey(), Date.now() + SOON_MS), (reason) => ends.push(reason))
    await watch.close()
    other.watch(grantOf(await newKey(), Date.now() + 2 * SOON_MS), (reason) => ends.push(`other ${reason}`))
    await until(() => ends.includes('other expired'), 'a later one ended')
    t.strictSame(ends, ['other expired'])
  })
})
