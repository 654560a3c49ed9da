-- A worker takes the deliveries of whole pages at once. Each of them needs a second place on its page for that,
-- or every index of pending deliveries gets an entry more: nearly half of the claims did at 70 %.
CREATE OR REPLACE FUNCTION ensure_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  parent text;
  month timestamptz;
  this_month timestamptz := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  partition_name text;
  lower_bound text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('heliograph partitions'));
  FOREACH parent IN ARRAY ARRAY['events', 'event_edges', 'deliveries', 'delivery_attempts'] LOOP
    FOR step IN 0..months_ahead LOOP
      month := (this_month AT TIME ZONE 'UTC' + make_interval(months => step)) AT TIME ZONE 'UTC';
      partition_name := parent || to_char(month AT TIME ZONE 'UTC', '"_"YYYYMM');
      CONTINUE WHEN to_regclass(partition_name) IS NOT NULL;
      lower_bound := CASE
        WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = parent::regclass) THEN quote_literal(first_id_at(month))
        ELSE 'MINVALUE'
      END;
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition_name, parent);
      IF parent = 'deliveries' THEN
        EXECUTE format('ALTER TABLE %I SET (fillfactor = 40)', partition_name);
      END IF;
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%L)', parent, partition_name,
        lower_bound, first_id_at((month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'));
      IF parent IN ('events', 'event_edges') THEN
        EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
          parent || '_not_truncated', partition_name);
      END IF;
    END LOOP;
  END LOOP;
END
$$;

DO $$
DECLARE
  partition regclass;
BEGIN
  FOR partition IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'deliveries'::regclass LOOP
    EXECUTE format('ALTER TABLE %s SET (fillfactor = 40)', partition);
  END LOOP;
END
$$;
