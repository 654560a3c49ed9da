import { compileWhenUsed, type Validate } from '../../platform/json-schema/json-schema.ts'
import { Problem } from '../../platform/http/problems.ts'
import { readUrl } from '../../platform/http/urls.ts'
import { faultOfSecret } from '../../platform/secrets/signing.ts'
import type { Account } from './driver.ts'
import type { Drivers } from './drivers.ts'

/** Settings that requests go to. */
const ADDRESSES: Record<string, typeof readUrl> = {
  url: readUrl,
  /** Paths are added to it. */
  apiUrl(text) {
    const read = readUrl(text)
    if ('fault' in read) return read
    const { search, hash, href } = new URL(read.href)
    return search + hash === '' ? { href: href.replace(/\/+$/, '') } : { fault: 'must end before its ? or #' }
  },
}

/**
 * Checks what a platform needs.
 *
 * @returns the account with its addresses as they are kept, shown and sent
 * @throws Problem `validation-failed`, or `invalid-destination` for an address that may not be called
 */
export type CheckAccount = <Given extends Partial<Account>>(platform: string, account: Given) => Given

/** @param faultOfUrl what is wrong with a URL that is to be called */
export function createAccountCheck(
  { all }: Drivers,
  faultOfUrl: (url: string) => string | undefined,
): CheckAccount {
  const checks = new Map(
    all.map(({ platform, settings, credentials }) => [
      platform,
      { settings: compileWhenUsed(settings), credentials: compileWhenUsed(credentials) },
    ]),
  )
  return (platform, account) => checkAccount(platform, account, checks.get(platform), faultOfUrl)
}

function checkAccount<Given extends Partial<Account>>(
  platform: string,
  account: Given,
  checks: Record<'settings' | 'credentials', Validate> | undefined,
  faultOfUrl: (url: string) => string | undefined,
): Given {
  const errors = (['settings', 'credentials'] as const).flatMap((part) =>
    account[part] === undefined || checks === undefined
      ? []
      : checks[part](account[part]).map(({ pointer, detail }) => ({ pointer: `/${part}${pointer}`, detail })),
  )
  const addresses: Record<string, string> = {}
  for (const [name, read] of Object.entries(ADDRESSES)) {
    const given = account.settings?.[name]
    if (typeof given !== 'string' || errors.some(({ pointer }) => pointer === `/settings/${name}`)) continue
    const address = read(given)
    if ('href' in address) addresses[name] = address.href
    else errors.push({ pointer: `/settings/${name}`, detail: address.fault })
  }
  const secret = account.credentials?.['secret']
  const fault = secret !== undefined && errors.length === 0 ? faultOfSecret(secret) : undefined
  if (fault !== undefined) errors.push({ pointer: '/credentials/secret', detail: fault })
  if (errors.length > 0) {
    throw new Problem('validation-failed', `This is not what ${platform} needs: see "errors".`, errors)
  }
  for (const [name, address] of Object.entries(addresses)) {
    const unreachable = faultOfUrl(address)
    if (unreachable === undefined) continue
    throw new Problem('invalid-destination', `The ${name} of the connection ${unreachable}.`, [
      { pointer: `/settings/${name}`, detail: unreachable },
    ])
  }
  return account.settings ? { ...account, settings: { ...account.settings, ...addresses } } : account
}
