import { compileWhenUsed } from '../../platform/json-schema/json-schema.ts'
import { Problem } from '../../platform/http/problems.ts'
import { faultOfSecret } from '../../platform/signing.ts'
import type { Account } from './drivers/driver.ts'
import { DRIVERS } from './drivers/index.ts'

const CHECKS = new Map(
  DRIVERS.map(({ platform, settings, credentials }) => [
    platform,
    { settings: compileWhenUsed(settings), credentials: compileWhenUsed(credentials) },
  ]),
)

/** Checks what a platform needs. @throws Problem `validation-failed` */
export function checkAccount(platform: string, account: Partial<Account>): void {
  const checks = CHECKS.get(platform)
  const errors = (['settings', 'credentials'] as const).flatMap((part) =>
    account[part] === undefined || checks === undefined
      ? []
      : checks[part](account[part]).map(({ pointer, detail }) => ({ pointer: `/${part}${pointer}`, detail })),
  )
  for (const name of ['url', 'apiUrl']) {
    const address = account.settings?.[name]
    if (address !== undefined && !isAddress(address)) {
      errors.push({ pointer: `/settings/${name}`, detail: 'must be a URL, without a user name or password' })
    }
  }
  const secret = account.credentials?.['secret']
  const fault = secret !== undefined && errors.length === 0 ? faultOfSecret(secret) : undefined
  if (fault !== undefined) errors.push({ pointer: '/credentials/secret', detail: fault })
  if (errors.length > 0) {
    throw new Problem('validation-failed', `This is not what ${platform} needs: see "errors".`, errors)
  }
}

function isAddress(text: string): boolean {
  const url = URL.parse(text)
  return url !== null && url.username === '' && url.password === ''
}
