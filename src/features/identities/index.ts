import type { Feature } from '../../feature.ts'
import { linkCodeRoutes } from './routes.ts'

export { findLinkCode } from './code.ts'
export { Activation, LinkCode, NewLinkCode } from './schemas.ts'
export { createLinkCodeService, type LinkCodeService } from './link-codes.ts'
export { createRecognizer, type Recognize } from './recognizing.ts'

export const identities: Feature = {
  name: 'identities',
  routes: (deps) => linkCodeRoutes(deps.linkCodes),
}
