import type { Feature } from '../../feature.ts'
import type { Platform } from '../../platform.ts'
import type { Entities } from '../entities/index.ts'
import type { Events } from '../events/index.ts'
import { createLinkCodeService, type LinkCodeService } from './link-codes.ts'
import { linkCodeRoutes } from './routes.ts'

export { findLinkCode } from './code.ts'
export { Activation, LinkCode, NewLinkCode } from './schemas.ts'
export type { LinkCodeService } from './link-codes.ts'
export { createRecognizer, type Recognize } from './recognizing.ts'

export interface Identities extends Feature {
  linkCodes: LinkCodeService
}

/** Who is who: link codes, and users that turn out to be one (SPEC section 2). */
export function createIdentities(
  { db }: Platform,
  { events, entities }: { events: Events; entities: Entities },
): Identities {
  const linkCodes = createLinkCodeService(db, events.appender, entities.users)
  return { linkCodes, routes: linkCodeRoutes(linkCodes) }
}
