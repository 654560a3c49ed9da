-- Topics and rooms of event types and events, presence, the contact form's inquiries.

-- What live messages of the type are about, and who observes them; templates with places such as {payload.id}.
ALTER TABLE event_types
  ADD COLUMN topic text,
  ADD COLUMN rooms text[] NOT NULL DEFAULT '{}';

-- The same of one event, as its type had it when it was appended: room names with a space between them.
ALTER TABLE events
  ADD COLUMN topic text,
  ADD COLUMN rooms text;

-- Processes that are alive, each with a number that no other one has at the time.
CREATE TABLE process_leases (
  process_id  uuid PRIMARY KEY,
  number      integer NOT NULL UNIQUE,
  lease_until timestamptz NOT NULL
);

-- Who is in which room, by connection. Not logged: after a crash of the database every process tells it anew.
CREATE UNLOGGED TABLE presence (
  app_id        uuid NOT NULL,
  room          text NOT NULL,
  member_id     text NOT NULL,
  process_id    uuid NOT NULL,
  connection_id uuid NOT NULL,
  info          json,
  joined_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (app_id, room, member_id, connection_id)
);

CREATE INDEX presence_process ON presence (process_id);

CREATE TABLE inquiries (
  app_id        uuid NOT NULL REFERENCES apps,
  id            bigint NOT NULL,
  type          text NOT NULL,
  first_name    text NOT NULL,
  last_name     text,
  email         text NOT NULL,
  business_name text,
  subject       text,
  message       text,
  created_at    timestamptz NOT NULL,
  PRIMARY KEY (app_id, id)
);

CREATE INDEX inquiries_type ON inquiries (app_id, type, id);
CREATE INDEX inquiries_email ON inquiries (app_id, lower(email), id);

-- A key that had every scope has every scope.
UPDATE api_keys
   SET scopes = scopes || ARRAY['inquiries:read', 'inquiries:submit', 'observation:read', 'observation:publish',
                                'observation:tokens']
 WHERE scopes @> ARRAY['deliveries:write', 'subscriptions:write', 'entities:write', 'platform-connections:write'];
