SELECT keep_files();
-- The files of an event, in order.
ALTER TABLE ticket_events ADD COLUMN files uuid[] NOT NULL DEFAULT '{}';
