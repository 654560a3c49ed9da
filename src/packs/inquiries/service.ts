import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import {
  type ExtensionContext,
  type Database,
  firstSnowflakeAt,
  type Tables,
  type EventInput,
  notFound,
  type Page,
  Problem,
  readTime,
  type SnowflakeIds,
  timeOfSnowflake,
  toPage,
} from 'heliograph/extension'
import type { Inquiry, InquiryQuery, NewInquiry } from './schemas.ts'

type InquiryBody = Static<typeof Inquiry>

/** What was sent with a contact form (SPEC section 4). An inquiry commits with the event that tells of it. */
export function createInquiryService(
  db: Database,
  appendWith: ExtensionContext['appendWith'],
  ids: SnowflakeIds,
) {
  const select = (appId: string) =>
    db.selectFrom('inquiries').select(COLUMNS).where('inquiries.app_id', '=', appId)

  return {
    /** @throws Problem `validation-failed` for a first name of white space alone */
    async submit(appId: string, input: Static<typeof NewInquiry>): Promise<InquiryBody> {
      const firstName = trimmed(input.firstName)
      if (firstName === null) {
        throw new Problem('validation-failed', 'The body is not as it should be: see "errors".', [
          { pointer: '/firstName', detail: 'must not be empty' },
        ])
      }
      const id = ids.next()
      const inquiry: InquiryBody = {
        id,
        type: input.type,
        firstName,
        lastName: trimmed(input.lastName),
        email: input.email,
        businessName: trimmed(input.businessName),
        subject: trimmed(input.subject),
        message: trimmed(input.message),
        // From the id, so that the order of ids is that of times, and a list needs no other index.
        createdAt: timeOfSnowflake(id).toISOString(),
      }
      await appendWith(appId, async (transaction) => {
        await transaction.insertInto('inquiries').values(toRow(appId, inquiry)).execute()
        return { events: [submittedEvent(inquiry)], result: undefined }
      })
      return inquiry
    },

    /** @param after an id: only those beyond it, in the order of the list */
    async list(
      appId: string,
      filter: Pick<Static<typeof InquiryQuery>, 'type' | 'email' | 'createdAtGte' | 'createdAtLte'>,
      page: { order: 'asc' | 'desc'; size: number; after: string | undefined },
    ): Promise<Page<InquiryBody>> {
      const { type, email, createdAtGte, createdAtLte } = filter
      const { order, size, after } = page
      let query = select(appId)
      if (type !== undefined) query = query.where('type', '=', type)
      if (email !== undefined) query = query.where(sql`lower(email)`, '=', sql`lower(${email})`)
      if (createdAtGte !== undefined) {
        const from = readTime('createdAtGte', createdAtGte).getTime()
        query = query.where('inquiries.id', '>=', bigint(firstSnowflakeAt(from)))
      }
      if (createdAtLte !== undefined) {
        const to = readTime('createdAtLte', createdAtLte).getTime()
        query = query.where('inquiries.id', '<', bigint(firstSnowflakeAt(to + 1)))
      }
      if (after !== undefined) query = query.where('inquiries.id', order === 'asc' ? '>' : '<', bigint(after))
      const rows = await query
        .orderBy('inquiries.id', order)
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toInquiry), size, ({ id }) => id)
    },

    async get(appId: string, id: string): Promise<InquiryBody> {
      const row = await select(appId).where('inquiries.id', '=', bigint(id)).executeTakeFirst()
      if (!row) throw notFound('inquiry')
      return toInquiry(row)
    },
  }
}

export type InquiryService = ReturnType<typeof createInquiryService>

/** Snowflakes are beyond the numbers that JavaScript counts in, so they go to and fro as text. */
const bigint = (id: string) => sql<number>`${id}::bigint`

const COLUMNS = [
  sql<string>`inquiries.id::text`.as('id'),
  'type',
  'first_name',
  'last_name',
  'email',
  'business_name',
  'subject',
  'message',
  'created_at',
] as const

function trimmed(text: string | null | undefined): string | null {
  const content = text?.trim()
  return content === undefined || content === '' ? null : content
}

/**
 * The message of SPEC section 4. It leaves the free text out: an event can never be deleted, goes to every
 * subscription and is shown to observers, and nobody knows what people write into a form. Whoever needs the
 * text reads the inquiry.
 */
function submittedEvent({ message: _freeText, ...payload }: InquiryBody): EventInput {
  return { type: 'inquiry.submitted', payload }
}

const toRow = (appId: string, inquiry: InquiryBody) => ({
  app_id: appId,
  id: bigint(inquiry.id),
  type: inquiry.type,
  first_name: inquiry.firstName,
  last_name: inquiry.lastName,
  email: inquiry.email,
  business_name: inquiry.businessName,
  subject: inquiry.subject,
  message: inquiry.message,
  created_at: inquiry.createdAt,
})

const toInquiry = (
  row: Omit<Selectable<Tables['inquiries']>, 'app_id' | 'id'> & { id: string },
): InquiryBody => ({
  id: row.id,
  type: row.type as InquiryBody['type'],
  firstName: row.first_name,
  lastName: row.last_name,
  email: row.email,
  businessName: row.business_name,
  subject: row.subject,
  message: row.message,
  createdAt: row.created_at.toISOString(),
})
