import pg from 'pg'

/** A table like this month's partition of the events, without its parent and its triggers. */
export async function createControlTable(databaseUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query(
    `select 'events_' || to_char(now() at time zone 'UTC', 'YYYYMM') as partition`,
  )
  await client.query(`create table bench_control (like ${rows[0].partition} including all)`)
  await client.end()
  return 'bench_control'
}
