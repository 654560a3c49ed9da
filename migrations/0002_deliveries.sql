-- Subscriptions, what each is owed, and what was tried.

CREATE TABLE subscriptions (
  app_id         uuid NOT NULL REFERENCES apps,
  id             uuid NOT NULL,
  name           text NOT NULL,
  event_patterns text[] NOT NULL,
  destination    jsonb NOT NULL,
  sealed_secret  bytea NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now(),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  deleted_at     timestamptz,
  PRIMARY KEY (app_id, id)
);

-- A pending delivery may be sent from `next_attempt_at` on, unless `lease_until` is ahead: a worker has it.
-- From `due_at` on the sweeper may queue it (again). The lease is not indexed, so taking a delivery is a
-- heap-only update.
CREATE TABLE deliveries (
  app_id          uuid NOT NULL,
  id              uuid NOT NULL,
  event_id        uuid NOT NULL,
  subscription_id uuid NOT NULL,
  status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'dead', 'cancelled')),
  attempts        integer NOT NULL DEFAULT 0,
  created_at      timestamptz NOT NULL,
  next_attempt_at timestamptz NOT NULL,
  due_at          timestamptz NOT NULL,
  lease_until     timestamptz,
  completed_at    timestamptz,
  CHECK ((completed_at IS NULL) = (status = 'pending')),
  PRIMARY KEY (app_id, id)
) PARTITION BY RANGE (id);

CREATE INDEX deliveries_event ON deliveries (app_id, event_id);
CREATE INDEX deliveries_subscription ON deliveries (app_id, subscription_id, id);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE status = 'pending';
CREATE INDEX deliveries_ended_badly ON deliveries (app_id, status, id) WHERE status IN ('dead', 'cancelled');

CREATE TABLE delivery_attempts (
  app_id           uuid NOT NULL,
  id               uuid NOT NULL,
  delivery_id      uuid NOT NULL,
  number           integer NOT NULL,
  trigger          text NOT NULL,
  outcome          text NOT NULL CHECK (outcome IN ('succeeded', 'failed')),
  started_at       timestamptz NOT NULL,
  duration_ms      integer NOT NULL,
  response_status  integer,
  response_headers json,
  response_body    text,
  error            text,
  PRIMARY KEY (app_id, id)
) PARTITION BY RANGE (id);

CREATE INDEX delivery_attempts_delivery ON delivery_attempts (app_id, delivery_id, id);

-- The smallest UUIDv7 of a moment. The partition bounds are such ids.
CREATE FUNCTION first_id_at(moment timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid
$$;

-- Creates the monthly partitions from this month to `months_ahead` months on. The first one ever made also
-- takes all that is older. Attaching, rather than CREATE … PARTITION OF, keeps readers and writers going.
CREATE FUNCTION ensure_partitions(months_ahead integer) RETURNS void LANGUAGE plpgsql AS $$
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
        EXECUTE format('ALTER TABLE %I SET (fillfactor = 70)', partition_name);
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
