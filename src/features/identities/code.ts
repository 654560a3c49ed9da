import { randomInt } from 'node:crypto'

const FORM = /(?<!\d)(\d{4})[- ]?(\d{4})[- ]?(\d{4})[- ]?(\d{4})(?!\d)/g

const pad = (number: number): string => String(number).padStart(4, '0')

/** The last group: it tells a mistyped code from a wrong one. */
const checksumOf = (groups: readonly string[]): string =>
  pad(groups.reduce((sum, group) => sum + Number(group), 0) % 10_000)

/** A new link code, such as `1234-5678-9012-5924`: twelve random digits and a checksum. */
export function newLinkCode(): string {
  const groups = [randomInt(10_000), randomInt(10_000), randomInt(10_000)].map(pad)
  return [...groups, checksumOf(groups)].join('-')
}

/** The link code in a text, in its usual form; undefined when there is none whose checksum fits. */
export function findLinkCode(text: string): string | undefined {
  for (const [, ...groups] of text.matchAll(FORM)) {
    if (checksumOf(groups.slice(0, 3)) === groups[3]) return groups.join('-')
  }
  return undefined
}
