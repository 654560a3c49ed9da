import { BlockList, isIP, SocketAddress } from 'node:net'

/**
 * Ranges that are not the public internet. Of IPv6, only 2000::/3 is given out as public addresses: all else is
 * local, reserved, or another form of an IPv4 address.
 */
const NOT_PUBLIC = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/3',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '4000::/2',
  '8000::/1',
]

/** An interface identifier that says to which IPv4 address a packet goes in the end (ISATAP, RFC 5214). */
const ISATAP = /:(?:0|200)?:5efe:(?:[^:]+:[^:]+|:)$/

/** The bits of an IPv4-mapped address, `::ffff:a.b.c.d`, that come before its IPv4 address. */
const MAPPED_BITS = 96

/**
 * Checks a comma-separated list of address ranges.
 *
 * @throws Error naming the part that is not a range
 */
export function parseCidrs(text: string): string[] {
  const ranges = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  for (const range of ranges) {
    const [address = '', prefix = '', ...more] = range.split('/')
    const bits = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1
    if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits || address.includes('%') || more.length > 0) {
      throw new Error(`"${range}" is not an address range: write for example 10.0.0.0/8 or fd00::/8.`)
    }
  }
  return ranges
}

/** The same of a list in which addresses may stand by themselves. */
export const parseAddresses = (text: string): string[] =>
  text.split(',').flatMap((part) => (isIP(part.trim()) === 0 ? parseCidrs(part) : [part.trim()]))

/** An address in its one usual spelling, IPv4-mapped ones as IPv4. @param address one that `isIP` takes */
function canonical(address: string): { address: string; family: 'ipv4' | 'ipv6' } {
  if (isIP(address) === 4) return { address, family: 'ipv4' }
  const text = new SocketAddress({ address, family: 'ipv6' }).address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(text)?.[1]
  return mapped === undefined ? { address: text, family: 'ipv6' } : { address: mapped, family: 'ipv4' }
}

type Ranges = Record<'ipv4' | 'ipv6', BlockList>

/** One list for each family, since BlockList finds every IPv4 address in `::/0`. */
function rangesOf(cidrs: readonly string[]): Ranges {
  const ranges = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const cidr of cidrs) {
    const [given = '', prefix] = cidr.split('/')
    const { address, family } = canonical(given)
    const isMapped = family === 'ipv4' && isIP(given) === 6
    if (!isMapped) ranges[family].addSubnet(address, Number(prefix), family)
    else if (Number(prefix) >= MAPPED_BITS)
      ranges.ipv4.addSubnet(address, Number(prefix) - MAPPED_BITS, 'ipv4')
    else ranges.ipv6.addSubnet(given, Number(prefix), 'ipv6')
  }
  return ranges
}

/**
 * Tells whether an address may be connected to: it is public, or in one of the given ranges.
 *
 * @param allowedCidrs ranges as `parseCidrs` takes them; an IPv6 range allows no IPv4 address, unless it is one of
 *   IPv4-mapped addresses
 */
export function createAddressCheck(allowedCidrs: readonly string[]): (address: string) => boolean {
  const refused = rangesOf(NOT_PUBLIC)
  const allowed = rangesOf(allowedCidrs)
  return (given) => {
    if (isIP(given) === 0) return false
    const { address, family } = canonical(given)
    if (allowed[family].check(address, family)) return true
    return !refused[family].check(address, family) && !ISATAP.test(address)
  }
}

/**
 * Tells what is wrong with a URL that is to be called: its host is an address that may not be connected to. What a name
 * resolves to is seen when it is connected to.
 *
 * @param allowedCidrs as for `createAddressCheck`
 * @returns for a URL, whose host may stand there in any spelling of an address, words for the person who wrote it
 */
export function createUrlCheck(allowedCidrs: readonly string[]): (url: string) => string | undefined {
  const mayReach = createAddressCheck(allowedCidrs)
  return (url) => {
    const host = URL.parse(url)?.hostname.replace(/^\[(.*)\]$/, '$1') ?? ''
    if (isIP(host) === 0 || mayReach(host)) return undefined
    return `leads to ${host}, which is not a public address: the operator can allow it in OUTBOUND_ALLOW_CIDRS`
  }
}

export const LOOPBACK_CIDRS: readonly string[] = ['127.0.0.0/8', '::1/128']
const loopback = rangesOf(LOOPBACK_CIDRS)

/** Whether only this machine reaches what listens there. @param host a name or an address */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 0) return host === 'localhost'
  const { address, family } = canonical(host)
  return loopback[family].check(address, family)
}

/**
 * Whose an address is, for counting: an IPv4 address is one client's, of IPv6 a whole /64, which is the least that
 * a client is given. What is no address stands for itself.
 */
export function clientNetwork(given: string): string {
  const [withoutZone = ''] = given.split('%')
  if (isIP(withoutZone) === 0) return given
  const { address, family } = canonical(withoutZone)
  if (family === 'ipv4') return address
  const [head = '', tail] = address.split('::')
  const groups = head === '' ? [] : head.split(':')
  // Without `::` there are all eight groups; what it stands for are zeros.
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  const all = [...groups, ...Array<string>(missing).fill('0'), ...(tail ? tail.split(':') : [])]
  return `${all.slice(0, 4).join(':')}::/64`
}
