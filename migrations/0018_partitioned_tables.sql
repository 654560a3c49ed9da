-- The tables that are partitioned by month on their UUIDv7, and how their partitions are made. A migration that makes
-- such a table adds it here.
CREATE TABLE partitioned_tables (
  name text PRIMARY KEY,
  -- Per cent of a page that inserts fill; the rest is for new versions of its rows.
  fillfactor integer NOT NULL DEFAULT 100 CHECK (fillfactor BETWEEN 10 AND 100),
  -- Whether a partition, too, refuses to be truncated.
  append_only boolean NOT NULL DEFAULT false
);

INSERT INTO partitioned_tables (name, fillfactor, append_only) VALUES
  ('events', 100, true),
  ('event_edges', 100, true),
  ('deliveries', 40, false),
  ('delivery_attempts', 100, false);

CREATE OR REPLACE FUNCTION ensure_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent partitioned_tables;
  month timestamptz;
  this_month timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  partition_name text;
  lower_bound text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('heliograph partitions'));
  FOR parent IN SELECT * FROM partitioned_tables ORDER BY name LOOP
    FOR step IN 0..months_ahead LOOP
      month := (this_month AT TIME ZONE 'UTC' + make_interval(months => step)) AT TIME ZONE 'UTC';
      partition_name := parent.name || to_char(month AT TIME ZONE 'UTC', '"_"YYYYMM');
      CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
      lower_bound := CASE
        WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = parent.name::regclass)
        THEN quote_literal(first_id_at(month))
        ELSE 'MINVALUE'
      END;
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH (fillfactor = %s)',
        partition_name, parent.name, parent.fillfactor);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%L)', parent.name, partition_name,
        lower_bound, first_id_at((month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'));
      IF parent.append_only THEN
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
          parent.name || '_not_truncated', partition_name);
      END IF;
    END LOOP;
  END LOOP;
END
$$;
