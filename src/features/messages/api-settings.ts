import { Type } from '@sinclair/typebox'
import { Url } from '../../platform/http/urls.ts'

/** A secret that stands in a header. */
export const HeaderToken = (maxLength: number, description?: string) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[!-~]+$', ...(description && { description }) })

/** Where a platform's API is: another address than the platform's own for a proxy or a simulator. */
export const ApiUrl = (ownUrl: string) => Url({ description: `${ownUrl} unless told.`, examples: [ownUrl] })
