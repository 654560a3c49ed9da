import assert from 'node:assert/strict'
import t from 'tap'
import { startService } from '../../helpers/service.ts'

/** What Postgres says for `restrict_violation`, which the tables' triggers raise. */
const REFUSED = { code: '23001', message: /events are immutable/ }

t.test('the database itself refuses to change the log', async (t) => {
  const service = await startService(t, { worker: false })
  const { pool } = service.platform
  const client = await service.client()
  const { body: event } = await client.post('/events', {
    type: 'fact.stated',
    payload: { true: true },
    edges: [{ type: 'sent_by', targetType: 'user', targetId: '1' }],
    externalId: 'A-1',
  })
  // More months than there are yet, as the maintenance job makes them in time.
  await pool.query('select ensure_partitions(6)')

  const partitionsOf = async (table: string): Promise<string[]> => {
    const { rows } = await pool.query<{ name: string }>(
      'select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1',
      [table],
    )
    return rows.map(({ name }) => name)
  }
  const KEYS = { events: 'id', event_edges: 'event_id' }
  const partitions = {
    events: await partitionsOf('events'),
    event_edges: await partitionsOf('event_edges'),
  }
  for (const [table, names] of Object.entries(partitions)) t.equal(names.length, 7, `${table} by month`)

  // A row in every partition: the triggers for rows fire only where there is one.
  for (let month = 1; month <= 6; month++) {
    await pool.query(
      `with copy as (select first_id_at(now() + make_interval(months => $1)) as id), stored as (
         insert into events select e.app_id, copy.id, e.position + $1, e.event_type_id, e.type, e.schema_version,
                e.schema_valid, e.payload, e.edges, e.origin_event_id, e.external_id, e.orgid, e.created_at
           from events e, copy where e.id = $2)
       insert into event_edges select d.app_id, copy.id, d.ordinal, d.type, d.target_type, d.target_id, d.position + $1
         from event_edges d, copy where d.event_id = $2`,
      [month, event.id],
    )
  }
  const contents = async (): Promise<unknown[]> => {
    const events = await pool.query('select events::text as row, tableoid::regclass from events order by id')
    const edges = await pool.query('select event_edges::text as row from event_edges order by event_id')
    return [events.rows, edges.rows]
  }
  const before = await contents()

  for (const [table, names] of Object.entries(partitions)) {
    const key = KEYS[table as keyof typeof KEYS]
    for (const target of [table, ...names]) {
      t.test(target, async (t) => {
        const { rows } = await pool.query(`select count(*)::int as count from ${target}`)
        t.ok(rows[0].count > 0, 'it holds something')
        const statements = [
          `update ${target} set type = 'other.type'`,
          `update ${target} set ${key} = first_id_at(now())`,
          `update ${target} set position = position`,
          `delete from ${target}`,
          `delete from only ${target} where app_id = '${client.appId}'`,
          `truncate ${target}`,
          `truncate ${target} cascade`,
          `insert into ${target} select * from ${target} on conflict (${key}, app_id${
            table === 'events' ? '' : ', ordinal'
          }) do update set type = 'other.type'`,
          `merge into ${target} old using ${target} new on old.${key} = new.${key} when matched then delete`,
        ]
        for (const statement of statements) {
          // A partitioned table holds no rows by itself.
          if (statement.includes('only') && target === table) continue
          await assert.rejects(pool.query(statement), REFUSED, statement)
        }
        t.pass(`${statements.length} statements were refused`)
      })
    }
  }

  t.test('nor can it be emptied along with what it belongs to', async (t) => {
    await t.rejects(pool.query('truncate events, event_edges, event_keys'), REFUSED)
    await t.rejects(pool.query(`delete from apps where id = '${client.appId}'`), 'nor its app deleted')
  })

  t.test('it is as it was', async (t) => {
    t.strictSame(await contents(), before)
    const { body } = await client.get(`/events/${event.id}`)
    t.strictSame(body, event)
  })
})
