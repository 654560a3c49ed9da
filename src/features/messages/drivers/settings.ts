import { Type } from '@sinclair/typebox'

/** A secret that stands in a header. */
export const HeaderToken = (maxLength: number, description?: string) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[!-~]+$', ...(description && { description }) })

/** Where a platform's API is: another address than the platform's own for a proxy or a simulator. */
export const ApiUrl = (ownUrl: string) =>
  Type.String({
    format: 'uri',
    pattern: '^https?://[^?#]*[^/?#]$',
    maxLength: 2048,
    description: `${ownUrl} unless told.`,
    examples: [ownUrl],
  })
