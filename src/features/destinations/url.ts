import { Problem } from '../../platform/http/problems.ts'
import { readUrl } from '../../platform/http/urls.ts'

/**
 * Where a destination's requests go, as it is kept, shown and sent. Every kind has its URL judged here.
 *
 * @param advice what to do instead of credentials in it
 * @throws Problem `invalid-destination` for one that nothing is sent to
 */
export function destinationUrl(text: string, advice?: string): string {
  const read = readUrl(text, advice)
  if ('href' in read) return read.href
  throw new Problem('invalid-destination', `The url of the destination ${read.fault}.`, [
    { pointer: '/destination/url', detail: read.fault },
  ])
}
