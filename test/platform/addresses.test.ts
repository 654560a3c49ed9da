import t from 'tap'
import { parseCidrs } from '../../src/platform/addresses.ts'

t.test('lists of address ranges', async (t) => {
  t.same(parseCidrs(''), [])
  t.same(parseCidrs(' , '), [])
  t.same(parseCidrs('10.0.0.0/8'), ['10.0.0.0/8'])
  t.same(parseCidrs(' 10.0.0.0/8 ,fd00::/8,0.0.0.0/0,::1/128,'), [
    '10.0.0.0/8',
    'fd00::/8',
    '0.0.0.0/0',
    '::1/128',
  ])
  const wrong = [
    '10.0.0.1',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/8.5',
    '10.0.0.0/a',
    '10.0.0/8',
    '10.0.0.256/8',
    '::1/129',
    'fd00::',
    'fe80::%lo/10',
    '/8',
    'localhost/8',
    '10.0.0.0/8 fd00::/8',
    '10.0.0.0/8/16',
  ]
  for (const range of wrong) {
    t.throws(
      () => parseCidrs(`127.0.0.0/8,${range}`),
      { message: `"${range}" is not an address range` },
      range,
    )
  }
})
