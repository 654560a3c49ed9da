import { Type, type StringOptions } from '@sinclair/typebox'
import { Problem } from '../../platform/http/problems.ts'

/** A change may give `***` for the address it has. */
const HOOK_FORM = '^(https?://[^\\s]+|\\*\\*\\*)$'

/** The address of an incoming webhook. Whoever knows it may post there. */
export const HookUrl = (options: StringOptions) =>
  Type.String({ maxLength: 2048, pattern: HOOK_FORM, ...options })

/** @throws Problem for an address that cannot be posted to */
export function checkHookUrl(url: string): void {
  if (!URL.canParse(url)) {
    throw new Problem('invalid-destination', 'The url of the destination is not a valid URL.', [
      { pointer: '/destination/url', detail: 'must be a URL' },
    ])
  }
  const { username, password } = new URL(url)
  if (username !== '' || password !== '') {
    throw new Problem(
      'invalid-destination',
      'The url of the destination must not hold a user or a password.',
      [{ pointer: '/destination/url', detail: 'must not hold a user or a password' }],
    )
  }
}
