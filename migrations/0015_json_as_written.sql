-- What people give as JSON is kept as they wrote it: jsonb has another text for some numbers, and no place for a zero
-- character, for half of a surrogate pair, or for a number of more than 131072 digits.
ALTER TABLE subscriptions ALTER COLUMN filter TYPE json USING filter::json;
ALTER TABLE event_type_schemas ALTER COLUMN json_schema TYPE json USING json_schema::json;
ALTER TABLE users ALTER COLUMN attributes DROP DEFAULT,
                  ALTER COLUMN attributes TYPE json USING attributes::json,
                  ALTER COLUMN attributes SET DEFAULT '{}';
ALTER TABLE files ALTER COLUMN metadata DROP DEFAULT,
                  ALTER COLUMN metadata TYPE json USING metadata::json,
                  ALTER COLUMN metadata SET DEFAULT '{}';
