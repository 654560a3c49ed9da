-- What makes deliveries to outside endpoints good citizens: health, flow control, ordering, recovery, rotation.

-- `flow` holds rate limit, concurrency, ordering and batching; null for a subscription without any of them.
-- `sealed_settings` are the hidden parts of the destination, `sealed_old_secrets` those that still sign.
ALTER TABLE subscriptions
  ADD COLUMN filter             jsonb,
  ADD COLUMN transformation     text,
  ADD COLUMN retry_schedule     text[],
  ADD COLUMN flow               jsonb,
  ADD COLUMN sealed_settings    bytea,
  ADD COLUMN sealed_old_secrets bytea,
  ADD COLUMN disabled_at        timestamptz,
  ADD COLUMN disabled_reason    text CHECK (disabled_reason IN ('manual', 'failing', 'gone')),
  ADD CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL));

-- How a subscription's endpoint fares, and when its parked deliveries are to be looked at. Every decision on
-- what may be sent next is made under the lock of this row, so it holds for all workers together.
CREATE TABLE subscription_states (
  app_id               uuid NOT NULL,
  subscription_id      uuid NOT NULL,
  consecutive_failures integer NOT NULL DEFAULT 0,
  failing_since        timestamptz, -- the first failure of an unbroken run
  failing_announced    boolean NOT NULL DEFAULT false,
  holds                integer NOT NULL DEFAULT 0, -- how often in a row sending was held
  held_until           timestamptz,
  next_slot_at         timestamptz, -- when the rate limit allows the next request
  feed_at              timestamptz, -- when parked deliveries are looked at; null when there are none
  PRIMARY KEY (app_id, subscription_id),
  FOREIGN KEY (app_id, subscription_id) REFERENCES subscriptions
) WITH (fillfactor = 50);

CREATE INDEX subscription_states_feed ON subscription_states (feed_at) WHERE feed_at IS NOT NULL;

INSERT INTO subscription_states (app_id, subscription_id) SELECT app_id, id FROM subscriptions;

-- Requests that a worker may have under way, out of the concurrency a subscription allows.
CREATE TABLE subscription_slots (
  app_id          uuid NOT NULL,
  subscription_id uuid NOT NULL,
  holder          uuid NOT NULL,
  slots           integer NOT NULL,
  held_until      timestamptz NOT NULL,
  PRIMARY KEY (app_id, subscription_id, holder),
  FOREIGN KEY (app_id, subscription_id) REFERENCES subscriptions
);

-- Work on many deliveries of the past: replays of the log, retries and discards.
CREATE TABLE recoveries (
  app_id          uuid NOT NULL REFERENCES apps,
  id              uuid NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('replay', 'retry', 'discard')),
  subscription_id uuid,
  criteria        jsonb NOT NULL,
  status          text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'cancelled', 'completed')),
  total           bigint NOT NULL, -- events or deliveries to look at
  examined        bigint NOT NULL DEFAULT 0,
  affected        bigint NOT NULL DEFAULT 0,
  cursor          text,
  run_at          timestamptz NOT NULL DEFAULT now(),
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  completed_at    timestamptz,
  PRIMARY KEY (app_id, id),
  FOREIGN KEY (app_id, subscription_id) REFERENCES subscriptions
);

CREATE INDEX recoveries_running ON recoveries (run_at) WHERE status = 'running';

-- A parked delivery is one whose `due_at` is infinity: only a feed of its subscription takes it.
-- `trigger` is why the coming attempt is made.
ALTER TABLE deliveries
  ADD COLUMN ordering_key text,
  ADD COLUMN trigger      text NOT NULL DEFAULT 'automatic' CHECK (trigger IN ('automatic', 'manual', 'replay')),
  ADD COLUMN recovery_id  uuid;

CREATE INDEX deliveries_backlog ON deliveries (app_id, subscription_id, position, id) WHERE status = 'pending';
-- `completed_at IS NULL` says the same as `status = 'pending'`: who looks for what these two have is not to be
-- offered the index of the whole backlog, nor those who name deliveries by their ids these.
CREATE INDEX deliveries_parked ON deliveries (app_id, subscription_id, ordering_key, position, id)
  WHERE completed_at IS NULL AND due_at = 'infinity';
CREATE INDEX deliveries_ordered ON deliveries (app_id, subscription_id, ordering_key, position, id)
  WHERE completed_at IS NULL AND ordering_key IS NOT NULL;
CREATE INDEX deliveries_dead_letters ON deliveries (app_id, subscription_id, ordering_key, position, id)
  WHERE status = 'dead';
CREATE INDEX deliveries_recovery ON deliveries (app_id, recovery_id)
  WHERE status = 'pending' AND recovery_id IS NOT NULL;

ALTER TABLE delivery_attempts ADD COLUMN subscription_id uuid, ADD COLUMN event_id uuid;
UPDATE delivery_attempts a SET subscription_id = d.subscription_id, event_id = d.event_id
  FROM deliveries d WHERE d.app_id = a.app_id AND d.id = a.delivery_id;
ALTER TABLE delivery_attempts ALTER COLUMN subscription_id SET NOT NULL, ALTER COLUMN event_id SET NOT NULL;

CREATE INDEX delivery_attempts_subscription ON delivery_attempts (app_id, subscription_id, id);

-- ed25519 keys that sign an app's webhooks. The one without an end signs, beside those that have not ended.
CREATE TABLE app_signing_keys (
  app_id             uuid NOT NULL REFERENCES apps,
  id                 uuid NOT NULL,
  public_key         bytea NOT NULL, -- 32 bytes
  sealed_private_key bytea NOT NULL,
  created_at         timestamptz NOT NULL DEFAULT now(),
  expires_at         timestamptz,
  PRIMARY KEY (app_id, id)
);

CREATE UNIQUE INDEX app_signing_keys_current ON app_signing_keys (app_id) WHERE expires_at IS NULL;

-- A key that had every scope has every scope.
UPDATE api_keys SET scopes = scopes || ARRAY['deliveries:write']
 WHERE scopes @> ARRAY['deliveries:read', 'subscriptions:write', 'entities:write', 'platform-connections:write'];

-- A moment as microseconds since the Unix epoch: exact, where a client's own times are not.
CREATE FUNCTION microseconds(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (extract(epoch FROM moment) * 1000000)::bigint
$$;
