-- A key itself is never here: only its SHA-256, and its first characters for people to tell keys apart.
CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    prefix text NOT NULL,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    customer_id uuid,
    made_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz CHECK (expires_at > created_at),
    revoked_at timestamptz,
    sequence bigint NOT NULL
);
CREATE INDEX api_keys_of_customer ON api_keys (customer_id, id DESC) WHERE customer_id IS NOT NULL;

-- Keys are revoked, never deleted.
DO $$
BEGIN
    EXECUTE format('REVOKE DELETE ON api_keys FROM %I, %I', current_user || '_api', current_user || '_work');
END $$;
