import t from 'tap'
import { createLog } from '../../../src/platform/log/log.ts'
import { createPool } from '../../../src/platform/postgres/pool.ts'
import { createTestDatabase } from '../../helpers/environment.ts'

t.test('a table that a migration names is partitioned by month', async (t) => {
  const log = createLog('silent', 'test')
  const pool = createPool(await createTestDatabase(), { size: 1, name: 'test', log })
  t.teardown(() => pool.end())
  await pool.query(`
    create table notes (id uuid primary key, text text) partition by range (id);
    create table scratch (id uuid primary key, text text) partition by range (id);
    insert into partitioned_tables (name, fillfactor, append_only)
      values ('notes', 60, true), ('scratch', 100, false);
    select ensure_partitions(2)`)
  await pool.query('select ensure_partitions(2)')
  const { rows } = await pool.query<{ parent: string; name: string; options: string[] | null }>(`
    select inhparent::regclass::text as parent, relname as name, reloptions as options
      from pg_inherits join pg_class on pg_class.oid = inhrelid
     where inhparent in ('notes'::regclass, 'scratch'::regclass)`)
  const [notes = [], scratch = []] = ['notes', 'scratch'].map((of) =>
    rows.filter(({ parent }) => parent === of),
  )
  t.same([notes.length, scratch.length], [3, 3])
  for (const { name, options } of notes) {
    t.strictSame(options, ['fillfactor=60'])
    await t.rejects(pool.query(`truncate ${name}`), { code: '23001' }, 'nothing is taken out of it')
  }
  for (const { name } of scratch) await t.resolves(pool.query(`truncate ${name}`))
  const later = `insert into notes values (first_id_at(now() + interval '40 days'), 'later')`
  await t.resolves(pool.query(later), 'it takes what comes later')
})
