-- Entities that edges point to, platform connections, link codes, and what the queries over events need.

-- A merged user keeps its row and names the one it became, always the last of a chain.
CREATE TABLE users (
  app_id      uuid NOT NULL REFERENCES apps,
  id          uuid NOT NULL,
  name        text,
  is_system   boolean NOT NULL DEFAULT false,
  attributes  jsonb NOT NULL DEFAULT '{}',
  merged_into uuid,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app_id, id),
  FOREIGN KEY (app_id, merged_into) REFERENCES users,
  CHECK (merged_into <> id)
);

CREATE INDEX users_merged ON users (app_id, merged_into) WHERE merged_into IS NOT NULL;

-- Whether link codes in messages are used, on every platform connection of the app.
ALTER TABLE apps ADD COLUMN detect_link_codes boolean NOT NULL DEFAULT false;

-- An addressed subscription has no patterns: it gets only the events that are addressed to it by its id.
ALTER TABLE subscriptions ADD COLUMN addressed boolean NOT NULL DEFAULT false;

-- A connection is an addressed subscription of the same id, which has its settings and its credentials.
CREATE TABLE platform_connections (
  app_id            uuid NOT NULL,
  id                uuid NOT NULL UNIQUE,
  platform          text NOT NULL,
  name              text NOT NULL,
  detect_link_codes boolean NOT NULL DEFAULT false,
  own_user_id       uuid NOT NULL, -- a platform user
  created_at        timestamptz NOT NULL DEFAULT now(),
  updated_at        timestamptz NOT NULL DEFAULT now(),
  deleted_at        timestamptz,
  PRIMARY KEY (app_id, id),
  FOREIGN KEY (app_id, id) REFERENCES subscriptions
);

CREATE TABLE platform_users (
  app_id                 uuid NOT NULL,
  id                     uuid NOT NULL,
  platform_connection_id uuid NOT NULL,
  external_id            text NOT NULL,
  user_id                uuid NOT NULL,
  name                   text,
  profile_picture_url    text,
  created_at             timestamptz NOT NULL DEFAULT now(),
  updated_at             timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app_id, id),
  UNIQUE (app_id, platform_connection_id, external_id),
  FOREIGN KEY (app_id, platform_connection_id) REFERENCES platform_connections,
  FOREIGN KEY (app_id, user_id) REFERENCES users
);

CREATE INDEX platform_users_connection ON platform_users (app_id, platform_connection_id, id);
CREATE INDEX platform_users_user ON platform_users (app_id, user_id, id);

-- Which message on a platform an event became. A message that is here is not sent again.
CREATE TABLE sent_messages (
  app_id                 uuid NOT NULL,
  event_id               uuid NOT NULL,
  platform_connection_id uuid NOT NULL,
  external_message_id    text NOT NULL,
  sent_at                timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app_id, event_id),
  FOREIGN KEY (app_id, platform_connection_id) REFERENCES platform_connections
);

CREATE INDEX sent_messages_external ON sent_messages (app_id, platform_connection_id, external_message_id);

CREATE TABLE files (
  app_id     uuid NOT NULL REFERENCES apps,
  id         uuid NOT NULL,
  filename   text NOT NULL,
  mime_type  text,
  size_bytes bigint,
  url        text,
  sha256     text,
  metadata   jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app_id, id)
);

CREATE TABLE link_codes (
  app_id           uuid NOT NULL,
  id               uuid NOT NULL,
  code             text NOT NULL,
  platform_user_id uuid NOT NULL,
  expiry_minutes   integer NOT NULL,
  expires_at       timestamptz NOT NULL,
  max_uses         integer NOT NULL,
  uses             integer NOT NULL DEFAULT 0,
  event_id         uuid NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (app_id, id),
  UNIQUE (app_id, code),
  FOREIGN KEY (app_id, platform_user_id) REFERENCES platform_users ON DELETE CASCADE,
  CHECK (uses BETWEEN 0 AND max_uses)
);

-- Other names of events: the source and id of a CloudEvent, a message's id on its platform, what is reported of an event.
ALTER TABLE event_keys DROP CONSTRAINT event_keys_kind_check;
ALTER TABLE event_keys ADD CONSTRAINT event_keys_kind_check
  CHECK (kind IN ('external', 'idempotency', 'batch', 'cloudevent', 'message', 'report'));

-- The CloudEvents attributes of an event that came as one, as they were sent.
ALTER TABLE events ADD COLUMN context json;

CREATE INDEX events_origin ON events (app_id, origin_event_id, position) WHERE origin_event_id IS NOT NULL;

-- The position of the event, so that events can be listed by what became of their deliveries.
ALTER TABLE deliveries ADD COLUMN position bigint;
UPDATE deliveries d SET position = e.position FROM events e WHERE e.app_id = d.app_id AND e.id = d.event_id;
ALTER TABLE deliveries ALTER COLUMN position SET NOT NULL;

CREATE INDEX deliveries_open ON deliveries (app_id, position) WHERE status = 'pending';
CREATE INDEX deliveries_dead ON deliveries (app_id, position) WHERE status = 'dead';

-- The first position of an app's log whose event is not older than a moment; one past the head when there is
-- none. Times do not fall along the positions, so it is a binary search, whatever the length of the log.
CREATE FUNCTION position_at(app uuid, moment timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := 1;
  high bigint := (SELECT head + 1 FROM app_logs WHERE app_id = app);
  middle bigint;
  event record;
BEGIN
  WHILE low < high LOOP
    middle := (low + high) / 2;
    SELECT position, created_at INTO event FROM events
     WHERE app_id = app AND position >= middle ORDER BY position LIMIT 1;
    IF NOT FOUND OR event.created_at >= moment THEN
      high := middle;
    ELSE
      low := event.position + 1;
    END IF;
  END LOOP;
  RETURN low;
END
$$;

-- Whether a payload holds what is wanted, as jsonb's @> has it. One that jsonb cannot hold never does.
CREATE FUNCTION payload_contains(payload json, wanted jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN payload::jsonb @> wanted;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
  RETURN false;
END
$$;

-- A key that had every scope has every scope.
UPDATE api_keys SET scopes = scopes || ARRAY['entities:read', 'entities:write', 'platform-connections:read',
    'platform-connections:write', 'messages:write', 'link-codes:read', 'link-codes:write']
 WHERE scopes @> ARRAY['events:read', 'events:write', 'event-types:read', 'event-types:write', 'subscriptions:read',
    'subscriptions:write', 'deliveries:read'];
