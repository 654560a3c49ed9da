import { sql } from 'kysely'
import type { SecretBox } from '../secrets/secret-box.ts'
import type { Database } from './pool.ts'

const BATCH_SIZE = 200
const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

/** A column of sealed values in a table whose rows are found by `app_id` and `id`. */
export interface SealedColumn {
  table: string
  column: string
  /** What the values are sealed for, as in `SecretBox.seal`. */
  context: (appId: string, id: string) => string
}

/** A value that no key of this process opens. */
export interface UnreadableValue {
  appId: string
  id: string
}

interface Row {
  app_id: string
  id: string
  sealed: Buffer
}

/**
 * Seals each value of a column with the current key, in batches. A value that somebody else changes meanwhile
 * is left to them.
 *
 * @param onBatch told after each batch how many values were looked at and sealed anew so far
 * @returns how many were sealed anew, how many were changed by others, and those that cannot be opened
 */
export async function resealColumn(
  db: Database,
  secrets: SecretBox,
  { table, column, context }: SealedColumn,
  onBatch: (looked: number, resealed: number) => void,
): Promise<{ resealed: number; changed: number; unreadable: UnreadableValue[] }> {
  const unreadable: UnreadableValue[] = []
  let [looked, resealed, changed] = [0, 0, 0]

  async function resealRow({ app_id: appId, id, sealed }: Row): Promise<void> {
    let renewed: Buffer | undefined
    try {
      renewed = secrets.reseal(sealed, context(appId, id))
    } catch {
      unreadable.push({ appId, id })
    }
    if (!renewed) return
    // Each in a transaction of its own: waiting for one row must not hold the others.
    const { numAffectedRows } = await sql`
      update ${sql.table(table)} set ${sql.ref(column)} = ${renewed}
       where app_id = ${appId} and id = ${id} and ${sql.ref(column)} = ${sealed}`.execute(db)
    if (numAffectedRows === 1n) resealed += 1
    else changed += 1
  }

  let [afterApp, afterId] = [BEFORE_ALL, BEFORE_ALL]
  for (;;) {
    const { rows } = await sql<Row>`
      select app_id, id, ${sql.ref(column)} as sealed from ${sql.table(table)}
       where (app_id, id) > (${afterApp}::uuid, ${afterId}::uuid) and ${sql.ref(column)} is not null
       order by app_id, id limit ${BATCH_SIZE}`.execute(db)
    await Promise.all(rows.map(resealRow))
    const last = rows.at(-1)
    if (!last) return { resealed, changed, unreadable }
    looked += rows.length
    onBatch(looked, resealed)
    ;[afterApp, afterId] = [last.app_id, last.id]
  }
}
