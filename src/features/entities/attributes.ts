import { Problem } from '../../platform/http/problems.ts'
import { readUrl } from '../../platform/http/urls.ts'
import { isNumber } from '../../platform/json/exact-numbers.ts'

const MAX_BYTES = 16_384
/** Deeper values are more than JSON.stringify takes. */
const MAX_DEPTH = 100

/**
 * Checks an object that is to be kept with an entity.
 *
 * @throws Problem `validation-failed` when it is too large or is nested too deep
 */
export function refuseTooLarge(name: string, value: object): void {
  const detail = faultOf(value)
  if (detail === undefined) return
  throw new Problem('validation-failed', `${name} cannot be kept.`, [{ pointer: `/${name}`, detail }])
}

/**
 * The URL that is kept with an entity and shown to others, as it would be sent.
 *
 * @param name of the member that it is given as
 * @throws Problem `validation-failed`
 */
export function keptUrl(name: string, text: string): string {
  const read = readUrl(text)
  if ('href' in read) return read.href
  throw new Problem('validation-failed', `${name} ${read.fault}.`, [
    { pointer: `/${name}`, detail: read.fault },
  ])
}

function faultOf(value: object): string | undefined {
  if (isDeeperThan(MAX_DEPTH, value)) return `is nested deeper than ${MAX_DEPTH}`
  return Buffer.byteLength(JSON.stringify(value)) > MAX_BYTES
    ? `takes more than ${MAX_BYTES} bytes`
    : undefined
}

const isDeeperThan = (limit: number, value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !isNumber(value) &&
  (limit === 0 || Object.values(value).some((member) => isDeeperThan(limit - 1, member)))
