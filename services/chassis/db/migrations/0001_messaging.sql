-- Roles are made with the database: <owner>_api answers HTTP, <owner>_work consumes and runs jobs.
DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I, %I', current_user || '_api', current_user || '_work');
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I, %I',
                   current_user || '_api', current_user || '_work');
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO %I, %I',
                   current_user || '_api', current_user || '_work');
END $$;

-- Events wait here from the transaction that made them until Kafka has them. Rows leave an hour after publication.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    topic text NOT NULL,
    aggregate text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    type text NOT NULL,
    headers text NOT NULL,
    payload bytea NOT NULL CHECK (octet_length(payload) <= 524288),
    created_at timestamptz NOT NULL,
    published_at timestamptz,
    UNIQUE (aggregate, sequence, topic)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, autovacuum_analyze_scale_factor = 0,
        autovacuum_analyze_threshold = 20000);
CREATE INDEX outbox_unpublished ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

-- What each consumer has taken, for ever: old events never act twice, and a lost offset is harmless.
CREATE TABLE seen (
    consumer text NOT NULL,
    topic text NOT NULL,
    aggregate text NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (aggregate, topic, consumer)
) WITH (fillfactor = 80);

-- Commands of other systems carry no sequence: their ids are kept for 30 days.
CREATE TABLE seen_commands (
    consumer text NOT NULL,
    id text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (id, consumer)
);
CREATE INDEX seen_commands_by_age ON seen_commands (seen_at);

-- `acts_from`: handlers that act on the world ignore what is older. Set once, when the name is first used.
CREATE TABLE consumers (
    name text PRIMARY KEY,
    acts_from timestamptz NOT NULL
);

-- A key whose record failed: later records of it wait in dead_letters, in order. No retry_at: a person decides.
CREATE TABLE parked (
    consumer text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    retry_at timestamptz,
    error text NOT NULL,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (key, topic, consumer)
);
CREATE INDEX parked_due ON parked (retry_at) WHERE retry_at IS NOT NULL;

CREATE TABLE dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    key text,
    sequence bigint,
    type text,
    raw_key bytea,
    raw_value bytea,
    raw_headers text NOT NULL,
    error text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'replayed', 'skipped', 'unreadable')),
    reason text,
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    UNIQUE (consumer, topic, partition, "offset")
);
CREATE INDEX dead_letters_waiting ON dead_letters (key, topic, consumer) WHERE state = 'waiting';

CREATE TABLE idempotency_keys (
    customer text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status int NOT NULL,
    body bytea NOT NULL,
    seen text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (customer, route, key)
);
