-- What came with a message: the connection it came through and the platform's own id of it. Its `url` is where the
-- platform has it, if it told; nobody but the service itself gets anything there.
ALTER TABLE files
  ADD COLUMN platform_connection_id uuid,
  ADD COLUMN external_id text,
  ADD CHECK ((platform_connection_id IS NULL) = (external_id IS NULL)),
  ADD UNIQUE (app_id, platform_connection_id, external_id),
  ADD FOREIGN KEY (app_id, platform_connection_id) REFERENCES platform_connections;
