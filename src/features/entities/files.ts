import { sql, type Selectable } from 'kysely'
import type { Static } from '@sinclair/typebox'
import { notFound, Problem } from '../../platform/http/problems.ts'
import { toPage, type Page } from '../../platform/http/pagination.ts'
import { newId } from '../../platform/identifiers/ids.ts'
import { parseAsWritten } from '../../platform/json/exact-numbers.ts'
import type { Database } from '../../platform/postgres/pool.ts'
import type { Files } from '../../platform/postgres/tables.ts'
import { keptUrl, refuseTooLarge } from './attributes.ts'
import type { File, FileChange, NewFile } from './schemas.ts'

type FileBody = Static<typeof File>

/** What a platform tells of something that came with a message. */
export interface PlatformFile {
  /** The platform's own id of it. */
  externalId: string
  filename: string
  mimeType: string | null
  sizeBytes: number | null
  sha256: string | null
  /** Where the platform has it; null where it tells that when it is asked. */
  url: string | null
}

/** A file with what is needed to get its content. */
export interface FileSource extends FileBody {
  /** Where its content was said to be, by whoever made the file. */
  sourceUrl: string | null
}

/**
 * What is known about files that events refer to; never their content (SPEC section 2).
 *
 * @param publicUrl where others reach this service; undefined when it was not told
 */
export function createFileService(db: Database, publicUrl: string | undefined) {
  const bodyOf = (row: Selectable<Files>): FileBody => toFile(row, publicUrl)

  async function read(appId: string, id: string): Promise<Selectable<Files>> {
    const row = await db
      .selectFrom('files')
      .selectAll()
      .where('app_id', '=', appId)
      .where('id', '=', id)
      .executeTakeFirst()
    if (!row) throw notFound('file')
    return row
  }

  return {
    async create(appId: string, input: Static<typeof NewFile>): Promise<FileBody> {
      const row = await db
        .insertInto('files')
        .values({ app_id: appId, id: newId(), filename: input.filename, ...columns(input) })
        .returningAll()
        .executeTakeFirstOrThrow()
      return bodyOf(row)
    },

    /**
     * The files of a platform connection, in the order in which they are given: those that are not known yet are
     * made, and what has an id that is known is the same file.
     *
     * @param known each id once
     */
    async ensure(
      appId: string,
      platformConnectionId: string,
      known: readonly PlatformFile[],
    ): Promise<FileBody[]> {
      if (known.length === 0) return []
      const rows = await db
        .insertInto('files')
        .values(
          // In one order, so that two who make the same files do not wait for each other.
          known
            .toSorted((a, b) => (a.externalId < b.externalId ? -1 : 1))
            .map((file) => ({
              app_id: appId,
              id: newId(),
              platform_connection_id: platformConnectionId,
              external_id: file.externalId,
              filename: file.filename,
              mime_type: file.mimeType,
              size_bytes: file.sizeBytes,
              sha256: file.sha256,
              url: file.url,
            })),
        )
        .onConflict((conflict) =>
          conflict
            .columns(['app_id', 'platform_connection_id', 'external_id'])
            // Changes nothing, but returns the row.
            .doUpdateSet((eb) => ({ external_id: eb.ref('excluded.external_id') })),
        )
        .returningAll()
        .execute()
      const made = new Map(rows.map((row) => [row.external_id, bodyOf(row)]))
      return known.map(({ externalId }) => made.get(externalId) as FileBody)
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
      return toPage(rows.map(bodyOf), size, (file) => file.id)
    },

    async get(appId: string, id: string): Promise<FileBody> {
      return bodyOf(await read(appId, id))
    },

    async source(appId: string, id: string): Promise<FileSource> {
      const row = await read(appId, id)
      return { ...bodyOf(row), sourceUrl: row.url }
    },

    async change(appId: string, id: string, change: Static<typeof FileChange>): Promise<FileBody> {
      if (change.url !== undefined) refuseOtherUrl(await read(appId, id))
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
      return bodyOf(row)
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

export type FileService = ReturnType<typeof createFileService>

/** Its content is got with the connection's credentials: where that is, is for the platform to say. */
function refuseOtherUrl(row: Selectable<Files>): void {
  if (row.platform_connection_id === null) return
  throw new Problem('conflict', 'The file came with a message: its url leads to its content, and stays.')
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

/** Where a file's content is; of what came with a message here, and without a public URL only the path of it. */
export const fileUrl = (
  row: Pick<Selectable<Files>, 'id' | 'url' | 'platform_connection_id'>,
  publicUrl: string | undefined,
): string | null =>
  row.platform_connection_id === null ? row.url : `${publicUrl ?? ''}/files/${row.id}/content`

export const toFile = (row: Selectable<Files>, publicUrl: string | undefined): FileBody => ({
  id: row.id,
  filename: row.filename,
  mimeType: row.mime_type,
  sizeBytes: row.size_bytes,
  url: fileUrl(row, publicUrl),
  sha256: row.sha256,
  platformConnectionId: row.platform_connection_id,
  externalId: row.external_id,
  metadata: parseAsWritten(row.metadata) as FileBody['metadata'],
  createdAt: row.created_at.toISOString(),
  updatedAt: row.updated_at.toISOString(),
})
