import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/ids.ts'
import { parseAsWritten } from '../../platform/exact-numbers.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { Files } from '../../platform/postgres/tables.ts'
import { keptUrl, refuseTooLarge } from './attributes.ts'
import type { File, FileChange, NewFile } from './schemas.ts'

type FileBody = Static<typeof File>

/** What is known about files that events refer to; never their content (SPEC section 2). */
export function createFileService(db: Database) {
  return {
    async create(appId: string, input: Static<typeof NewFile>): Promise<FileBody> {
      const row = await db
        .insertInto('files')
        .values({ app_id: appId, id: newId(), filename: input.filename, ...columns(input) })
        .returningAll()
        .executeTakeFirstOrThrow()
      return toFile(row)
    },

    async list(appId: string, _query: object, size: number, after?: string): Promise<Page<FileBody>> {
      const rows = await db
        .selectFrom('files')
        .selectAll()
        .where('app_id', '=', appId)
        .$if(after !== undefined, (query) => query.where('id', '>', after as string))
        .orderBy('id')
        .limit(size + 1)
        .execute()
      return toPage(rows.map(toFile), size, (file) => file.id)
    },

    async get(appId: string, id: string): Promise<FileBody> {
      const row = await db
        .selectFrom('files')
        .selectAll()
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .executeTakeFirst()
      if (!row) throw notFound('file')
      return toFile(row)
    },

    async change(appId: string, id: string, change: Static<typeof FileChange>): Promise<FileBody> {
      const row = await db
        .updateTable('files')
        .set({
          updated_at: sql`now()`,
          ...(change.filename !== undefined && { filename: change.filename }),
          ...columns(change),
        })
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      if (!row) throw notFound('file')
      return toFile(row)
    },

    async remove(appId: string, id: string): Promise<void> {
      const { numDeletedRows } = await db
        .deleteFrom('files')
        .where('app_id', '=', appId)
        .where('id', '=', id)
        .executeTakeFirst()
      if (numDeletedRows === 0n) throw notFound('file')
    },
  }
}

/** The columns of what is given. */
function columns({ mimeType, sizeBytes, url, sha256, metadata }: Static<typeof FileChange>) {
  if (metadata) refuseTooLarge('metadata', metadata)
  return {
    ...(mimeType !== undefined && { mime_type: mimeType }),
    ...(sizeBytes !== undefined && { size_bytes: sizeBytes }),
    ...(url !== undefined && { url: url && keptUrl('url', url) }),
    ...(sha256 !== undefined && { sha256 }),
    ...(metadata && { metadata: JSON.stringify(metadata) }),
  }
}

export const toFile = (row: Selectable<Files>): FileBody => ({
  id: row.id,
  filename: row.filename,
  mimeType: row.mime_type,
  sizeBytes: row.size_bytes,
  url: row.url,
  sha256: row.sha256,
  metadata: parseAsWritten(row.metadata) as FileBody['metadata'],
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})
