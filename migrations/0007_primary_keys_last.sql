-- A partition that is new, or was analysed while it held next to nothing, looks to the planner as if an app had one
-- row in it: then every index that begins with the app seems as good as the primary key, and of these the planner takes
-- the one that was made last. So the primary key is, or looking up a row by its id would read all that its app has
-- there until the next ANALYZE.
ALTER TABLE events DROP CONSTRAINT events_pkey;
ALTER TABLE events ADD PRIMARY KEY (app_id, id);
ALTER TABLE deliveries DROP CONSTRAINT deliveries_pkey;
ALTER TABLE deliveries ADD PRIMARY KEY (app_id, id);
