import t from 'tap'
import { clientNetwork, parseCidrs, createUrlCheck } from '../../../src/platform/outbound/addresses.ts'

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

t.test('whose an address is', async (t) => {
  const networks: Record<string, string[]> = {
    '192.0.2.1': ['192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201', '0:0:0:0:0:FFFF:192.0.2.1'],
    '2001:db8:0:1::/64': ['2001:db8:0:1::', '2001:0DB8::1:0:0:0:9', '2001:db8:0:1:2:3:4:5'],
    '2001:db8:0:0::/64': ['2001:db8::', '2001:db8::1', '2001:db8:0:0:ffff:ffff:ffff:ffff'],
    '0:0:0:0::/64': ['::', '::1', '::1.2.3.4'],
    '1:2:3:4::/64': ['1:2:3:4::', '1:2:3:4:5:6:7:8', '1:2:3:4::8', '1:2:3:4:5::'],
    'fe80:0:0:0::/64': ['fe80::1', 'fe80::1%eth0', 'fe80::2%lo'],
    'no address': ['no address'],
    '': [''],
  }
  for (const [network, addresses] of Object.entries(networks))
    for (const address of addresses) t.equal(clientNetwork(address), network, address)
})

t.test('the host of a URL is judged where it is an address, however it is spelled', async (t) => {
  const faultOf = createUrlCheck(['10.0.0.0/8'])
  for (const host of ['１２７.0.0.1', '127。0。0。1', '0x7f000001', '[::ffff:7f00:1]', '169.254.169.254'])
    t.match(faultOf(`http://${host}/`), /^leads to .* OUTBOUND_ALLOW_CIDRS$/, host)
  for (const host of ['10.1.2.3', '[::ffff:10.1.2.3]', '8.8.8.8', 'localhost', 'example.com'])
    t.equal(faultOf(`https://${host}/`), undefined, host)
  t.equal(faultOf('no URL'), undefined, 'that is for others to say')
})
