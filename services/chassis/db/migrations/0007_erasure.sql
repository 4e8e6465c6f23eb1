-- An event without a body erases: Kafka forgets what it held of the key.
ALTER TABLE outbox ALTER COLUMN payload DROP NOT NULL;
