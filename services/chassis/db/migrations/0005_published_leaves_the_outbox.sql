-- What Kafka has, leaves at once: a row that is marked is written again with all its index entries, and pruned later.
DELETE FROM outbox WHERE published_at IS NOT NULL;
DROP INDEX outbox_unpublished, outbox_published;
ALTER TABLE outbox DROP COLUMN published_at;
