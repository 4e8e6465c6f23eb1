-- The ticket into which this one was merged. If that one is merged later, this one points at the last of them, too.
ALTER TABLE tickets ADD COLUMN merged_into uuid REFERENCES tickets (id),
    ADD CHECK (merged_into IS NULL OR (status = 'closed' AND merged_into <> id));
CREATE INDEX tickets_merged ON tickets (merged_into) WHERE merged_into IS NOT NULL;
-- The other ticket of a merge.
ALTER TABLE ticket_events ADD COLUMN other uuid REFERENCES tickets (id);
