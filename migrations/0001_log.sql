-- Tenants, their keys, and the log.

CREATE TABLE apps (
  id         uuid PRIMARY KEY,
  name       text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
  app_id      uuid NOT NULL REFERENCES apps,
  id          text NOT NULL UNIQUE,
  name        text NOT NULL,
  secret_hash bytea NOT NULL,
  scopes      text[] NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now(),
  revoked_at  timestamptz,
  PRIMARY KEY (app_id, id)
);

-- One row per app. Every append updates it, so its lock puts the app's appends in order and makes
-- positions dense. The versions say whether a process's cached types and subscriptions are current.
CREATE TABLE app_logs (
  app_id                uuid PRIMARY KEY REFERENCES apps,
  head                  bigint NOT NULL DEFAULT 0,
  types_version         bigint NOT NULL DEFAULT 0,
  subscriptions_version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- A deleted type keeps its row: the log may hold events of that name.
CREATE TABLE event_types (
  app_id              uuid NOT NULL REFERENCES apps,
  id                  uuid NOT NULL,
  name                text NOT NULL,
  description         text,
  domain              text,
  enforce_validation  boolean NOT NULL DEFAULT false,
  schema_version      integer NOT NULL DEFAULT 0,
  created_at          timestamptz NOT NULL DEFAULT now(),
  updated_at          timestamptz NOT NULL DEFAULT now(),
  deleted_at          timestamptz,
  PRIMARY KEY (app_id, id),
  UNIQUE (app_id, name)
);

CREATE TABLE event_type_schemas (
  app_id        uuid NOT NULL,
  event_type_id uuid NOT NULL,
  version       integer NOT NULL,
  json_schema   jsonb NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app_id, event_type_id, version),
  FOREIGN KEY (app_id, event_type_id) REFERENCES event_types
);

-- `payload` and `edges` are json, not jsonb: what was sent is kept to the letter and passed on as it is.
CREATE TABLE events (
  app_id          uuid NOT NULL,
  id              uuid NOT NULL,
  position        bigint NOT NULL,
  event_type_id   uuid NOT NULL,
  type            text NOT NULL,
  schema_version  integer,
  schema_valid    boolean,
  payload         json NOT NULL,
  edges           json NOT NULL,
  origin_event_id uuid,
  external_id     text,
  orgid           text,
  created_at      timestamptz NOT NULL,
  PRIMARY KEY (app_id, id)
) PARTITION BY RANGE (id);

CREATE INDEX events_position ON events (app_id, position);
CREATE INDEX events_type_position ON events (app_id, type, position);

-- Which events name an entity. The event row holds its edges too; this is the index over them.
CREATE TABLE event_edges (
  app_id      uuid NOT NULL,
  event_id    uuid NOT NULL,
  ordinal     smallint NOT NULL,
  type        text NOT NULL,
  target_type text NOT NULL,
  target_id   text NOT NULL,
  position    bigint NOT NULL,
  PRIMARY KEY (app_id, event_id, ordinal)
) PARTITION BY RANGE (event_id);

CREATE INDEX event_edges_target ON event_edges (app_id, target_type, target_id, type, position);

-- Keys under which an append may be repeated. They do not expire.
CREATE TABLE event_keys (
  app_id       uuid NOT NULL,
  kind         text NOT NULL CHECK (kind IN ('external', 'idempotency', 'batch')),
  value        text NOT NULL,
  event_id     uuid NOT NULL,
  content_hash bytea NOT NULL,
  PRIMARY KEY (app_id, kind, value)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'events are immutable: % on % is refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER events_immutable BEFORE UPDATE OR DELETE ON events
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_not_truncated BEFORE TRUNCATE ON events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_edges_immutable BEFORE UPDATE OR DELETE ON event_edges
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER event_edges_not_truncated BEFORE TRUNCATE ON event_edges
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What must agree between all processes of one installation, such as the fingerprint of the encryption key.
CREATE TABLE installation (
  name  text PRIMARY KEY,
  value text NOT NULL
);
