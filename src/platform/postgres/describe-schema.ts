import { sql } from 'kysely'
import type { Database } from './pool.ts'

/**
 * The schema that the migrations make, as text to be read and compared: every table with its columns,
 * constraints, indexes and triggers, and every function. Partitions follow from their parents and are left out.
 */
export async function describeSchema(db: Database): Promise<string> {
  const tables = await sql<{ name: string; lines: string[] }>`
    select c.relname as name,
      array(select a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                   || case when a.attnotnull then ' not null' else '' end
                   || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
              from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
             where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum)
      || array(select conname || ' ' || pg_get_constraintdef(k.oid) from pg_constraint k
                where conrelid = c.oid and contype <> 'n' order by conname)
      || array(select pg_get_indexdef(indexrelid) from pg_index where indrelid = c.oid order by 1)
      || array(select pg_get_triggerdef(t.oid) from pg_trigger t where tgrelid = c.oid and not tgisinternal order by tgname)
      || coalesce('partition by ' || pg_get_partkeydef(c.oid), '')
      || coalesce(' with ' || array_to_string(c.reloptions, ', '), '') as lines
      from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and c.relname not like 'kysely_%'
     order by c.relname`.execute(db)
  const functions = await sql<{ text: string }>`
    select pg_get_functiondef(oid) as text from pg_proc
     where pronamespace = 'public'::regnamespace order by proname`.execute(db)
  const parts = tables.rows.map(({ name, lines }) =>
    [`table ${name}`, ...lines.filter((line) => line !== '').map((line) => `  ${line}`)].join('\n'),
  )
  return `${[...parts, ...functions.rows.map(({ text }) => text.trimEnd())].join('\n\n')}\n`
}
