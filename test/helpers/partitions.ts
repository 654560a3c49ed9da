import type { Pool } from '../../src/platform/postgres/pool.ts'

/** Takes all events that are in the log away, as retention does, with room for new ones. */
export async function dropEvents(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'events'::regclass order by 1 limit 1`,
  )
  const { name } = rows[0] as { name: string }
  await pool.query(`alter table events detach partition ${name}`)
  await pool.query(`drop table ${name}`)
  await pool.query('select ensure_partitions(0)')
}
