import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import {
  appIdOf,
  BODY_PROBLEMS,
  createOriginCheck,
  pageOf,
  pageSize,
  Problem,
  type RateLimits,
  readCursor,
  ref,
  responses,
  SNOWFLAKE_CURSOR,
} from 'heliograph/extension'
import { Inquiry, InquiryId, InquiryQuery, NewInquiry } from './schemas.ts'
import type { InquiryService } from './service.ts'

const tags = ['Inquiries']
const read = { access: 'inquiries:read' as const }
/** The longest inquiry, each of its characters as an escape sequence, takes less. */
const BODY_LIMIT = 262_144

export interface InquiryRouteOptions {
  service: InquiryService
  rateLimits: RateLimits
  /** Inquiries that one address may send in a minute. */
  perMinute: number
  /** Whose pages may send inquiries, besides the service's own. */
  allowedOrigins: readonly string[]
  /** The app of inquiries that come without a key; undefined: these are refused. */
  appIdWithoutKey: string | undefined
}

/** The contact form's inquiries (SPEC section 4). */
export const inquiryRoutes =
  (options: InquiryRouteOptions): FastifyPluginAsyncTypebox =>
  async (app) => {
    const { service, perMinute, appIdWithoutKey } = options
    const isAllowedOrigin = createOriginCheck(options.allowedOrigins)
    app.addSchema(Inquiry)
    await options.rateLimits.register(app)

    /** CORS only keeps answers from other pages; here what they send is refused. */
    async function refuseOtherOrigins({ headers, host }: FastifyRequest): Promise<void> {
      if (isAllowedOrigin(headers.origin, host)) return
      throw new Problem(
        'origin-not-allowed',
        'Pages of this origin may not send inquiries. Add it to ALLOWED_ORIGINS and restart.',
      )
    }

    function appIdOfSender({ appKey }: FastifyRequest): string {
      const appId = appKey?.appId ?? appIdWithoutKey
      if (appId !== undefined) return appId
      throw new Problem(
        'unauthorized',
        'Send the header "Authorization: Bearer <API key>", with a key that has the scope "inquiries:submit"; or set INQUIRIES_APP_ID to the app of inquiries without a key, and restart.',
      )
    }

    app.post(
      '/inquiries/submit',
      {
        config: {
          access: 'inquiries:submit',
          keyOptional: true,
          rateLimit: { max: perMinute },
        },
        bodyLimit: BODY_LIMIT,
        onRequest: [refuseOtherOrigins, async (request) => void appIdOfSender(request)],
        schema: {
          tags,
          security: [{ appKey: [] }, {}],
          operationId: 'submitInquiry',
          summary: 'Send an inquiry',
          description:
            'For a contact form, from a page of an origin in ALLOWED_ORIGINS. A key whose only scope is `inquiries:submit` may stand in such a page; without a key the app is INQUIRIES_APP_ID, or the default app of the embedded Postgres. INQUIRIES_PER_MINUTE are taken from one address. Appends `inquiry.submitted`, which has all of it but `message`.',
          body: NewInquiry,
          response: responses({ 201: ref(Inquiry) }, [
            ...BODY_PROBLEMS,
            'origin-not-allowed',
            'too-many-requests',
            'overloaded',
          ]),
        },
      },
      async (request, reply) =>
        reply.code(201).send(await service.submit(appIdOfSender(request), request.body)),
    )

    app.get(
      '/inquiries',
      {
        config: read,
        schema: {
          tags,
          operationId: 'listInquiries',
          summary: 'List inquiries, newest first unless told',
          description:
            'For the desk that answers them: all inquiries, or those of one kind, one address or some time.',
          querystring: InquiryQuery,
          response: responses({ 200: pageOf(ref(Inquiry)) }, ['validation-failed', 'invalid-cursor']),
        },
      },
      async (request) => {
        const { order = 'desc', after, limit: _limit, first: _first, ...filter } = request.query
        const page = await service.list(appIdOf(request), filter, {
          order,
          size: pageSize(request.query),
          after: readCursor(after, SNOWFLAKE_CURSOR),
        })
        return { data: page.rows, pageInfo: page.pageInfo }
      },
    )

    app.get(
      '/inquiries/:id',
      {
        config: read,
        schema: {
          tags,
          operationId: 'getInquiry',
          summary: 'Read an inquiry',
          description: 'Read one whole, with its `message`; the event about it leaves that out.',
          params: InquiryId,
          response: responses({ 200: ref(Inquiry) }, ['validation-failed', 'not-found']),
        },
      },
      async (request) => service.get(appIdOf(request), request.params.id),
    )
  }
