-- When an endpoint was last known to work: an attempt that began before that begins no new run of failures.
ALTER TABLE subscription_states ADD COLUMN recovered_at timestamptz;
