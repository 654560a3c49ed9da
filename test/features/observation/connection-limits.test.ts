import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createConnectionLimits } from '../../../src/features/observation/access/connection-limits.ts'

type Entered = ReturnType<ReturnType<typeof createConnectionLimits>['count']>

const leave = (entered: Entered): void => {
  if (typeof entered === 'string') throw new Error(`It was refused: too many of the ${entered}.`)
  entered()
}

t.test('an app has only so many connections', async (t) => {
  const limits = createConnectionLimits({ maxPerApp: 2, maxPerAddress: 100 })
  const first = limits.count('a', '192.0.2.1')
  leave(limits.count('a', '192.0.2.2'))
  limits.count('a', '192.0.2.3')
  t.equal(limits.count('a', '192.0.2.4'), 'app')
  t.type(limits.count('b', '192.0.2.4'), 'function', 'another app has its own')
  leave(first)
  t.type(limits.count('a', '192.0.2.4'), 'function', 'once one has ended')
  t.equal(limits.count('a', '192.0.2.4'), 'app')
})

t.test('an address has only so many, whatever they are for', async (t) => {
  const limits = createConnectionLimits({ maxPerApp: 100, maxPerAddress: 2 })
  const first = limits.count('a', '192.0.2.1')
  limits.count('b', '::ffff:192.0.2.1')
  t.equal(limits.count('c', '192.0.2.1'), 'address')
  t.type(limits.count('c', '192.0.2.2'), 'function')
  leave(first)
  t.type(limits.count('c', '192.0.2.1'), 'function')
})

t.test('a network of IPv6 counts as one address', async (t) => {
  const limits = createConnectionLimits({ maxPerApp: 100, maxPerAddress: 1 })
  t.type(limits.count('a', '2001:db8:0:1::1'), 'function')
  for (const same of ['2001:db8:0:1:ffff::', '2001:0DB8:0000:0001:1:2:3:4', '2001:db8:0:1::1%eth0'])
    t.equal(limits.count('a', same), 'address', same)
  for (const other of ['2001:db8:0:2::1', '2001:db8::1', '2001:db8:1::', 'fe80::1%eth0', '::1'])
    t.type(limits.count('a', other), 'function', other)
  t.equal(limits.count('a', '::1.2.3.4'), 'address', 'as ::1')
  t.type(limits.count('a', ''), 'function', 'and what is no address as itself')
  t.equal(limits.count('a', ''), 'address')
})

t.test('whatever connections come and go, those that are there are counted', async (t) => {
  const max = { maxPerApp: 3, maxPerAddress: 2 }
  const step = fc.record({
    app: fc.constantFrom('a', 'b', 'c'),
    address: fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2'),
    /** Which of all connections so far ends first, maybe once more. */
    ends: fc.option(fc.nat({ max: 30 })),
  })
  const network = (address: string): string => (address.includes(':') ? 'v6' : address)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const limits = createConnectionLimits(max)
      const all: { app: string; network: string; leave: () => void; there: boolean }[] = []
      for (const { app, address, ends } of steps) {
        const ending = ends === null ? undefined : all[ends]
        if (ending) {
          ending.leave()
          ending.there = false
        }
        const there = all.filter((connection) => connection.there)
        const entered = limits.count(app, address)
        const ofApp = there.filter((connection) => connection.app === app).length
        const ofAddress = there.filter((connection) => connection.network === network(address)).length
        if (ofApp >= max.maxPerApp) assert.equal(entered, 'app')
        else if (ofAddress >= max.maxPerAddress) assert.equal(entered, 'address')
        else {
          assert.ok(typeof entered === 'function')
          all.push({ app, network: network(address), leave: entered, there: true })
        }
      }
    }),
  )
  t.pass('in any order')
})
