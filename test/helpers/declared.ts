import { gather } from '../../src/declarations.ts'
import { packs } from '../../src/packs/index.ts'

/** What the core and all packs declare. */
export const declared = gather(packs)
