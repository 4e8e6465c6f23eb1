-- What is known of a way to pay: until when it holds, where its bills go, whether it may be used. `sequence` counts its events.
ALTER TABLE methods ADD COLUMN exp_year smallint, ADD COLUMN exp_month smallint CHECK (exp_month BETWEEN 1 AND 12),
    ADD COLUMN country text, ADD COLUMN state text, ADD COLUMN postal_code text,
    ADD COLUMN saved boolean NOT NULL DEFAULT true, ADD COLUMN is_default boolean NOT NULL DEFAULT false,
    ADD COLUMN verification text NOT NULL DEFAULT 'verified' CHECK (verification IN ('verified', 'pending', 'failed')),
    ADD COLUMN disabled_at timestamptz, ADD COLUMN disabled_reason text, ADD COLUMN removed_at timestamptz,
    ADD COLUMN detached_at timestamptz, ADD COLUMN detach_after timestamptz, ADD COLUMN detach_calls int NOT NULL DEFAULT 0,
    ADD COLUMN setup_id uuid, ADD COLUMN setup_reference text,
    ADD COLUMN sequence bigint NOT NULL DEFAULT 1,
    ADD CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    ADD CHECK (NOT is_default OR (removed_at IS NULL AND saved)),
    ADD CHECK ((exp_year IS NULL) = (exp_month IS NULL));
CREATE UNIQUE INDEX methods_default ON methods (customer_id) WHERE is_default;
CREATE INDEX methods_to_detach ON methods (detach_after) WHERE detach_after IS NOT NULL;
CREATE INDEX methods_once ON methods (id) WHERE NOT saved AND removed_at IS NULL;
CREATE INDEX payments_under_way_by_method ON payments (method_id)
    WHERE method_id IS NOT NULL AND status NOT IN ('succeeded', 'declined', 'cancelled', 'expired');

-- A visit to the provider's own page, where a way to pay is given; it is looked at until it has an end.
CREATE TABLE method_setups (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    provider_id text UNIQUE,
    url text,
    return_url text NOT NULL,
    kinds text[] NOT NULL,
    saved boolean NOT NULL,
    state text NOT NULL CHECK (state IN ('begun', 'open', 'complete', 'failed', 'expired')),
    reason text,
    method_id uuid REFERENCES methods (id),
    looks int NOT NULL DEFAULT 0,
    look_after timestamptz,
    created_at timestamptz NOT NULL,
    CHECK (state <> 'complete' OR method_id IS NOT NULL),
    CHECK (state = 'begun' OR provider_id IS NOT NULL OR state = 'failed')
);
CREATE INDEX method_setups_to_look ON method_setups (look_after) WHERE look_after IS NOT NULL;
