-- Another id that a platform has for somebody, such as WhatsApp's user id beside the number: both lead to one.
ALTER TABLE platform_users ADD COLUMN other_external_id text;
CREATE UNIQUE INDEX platform_users_other_id ON platform_users (app_id, platform_connection_id, other_external_id);
