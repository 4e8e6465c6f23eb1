-- Surcharge rules by edition of their file; those of the latest edition hold. Never but for credit cards, whatever a rule says.
CREATE TABLE surcharge_editions (
    edition date PRIMARY KEY,
    digest bytea NOT NULL,
    taken_at timestamptz NOT NULL
);
CREATE TABLE surcharge_rules (
    id text PRIMARY KEY,
    edition date NOT NULL REFERENCES surcharge_editions (edition),
    valid_from date NOT NULL,
    valid_until date CHECK (valid_until >= valid_from),
    currency text,
    country text,
    state text,
    brand text,
    funding text NOT NULL CHECK (funding = 'credit'),
    rate numeric NOT NULL CHECK (rate BETWEEN 0 AND 1),
    cap_minor bigint CHECK (cap_minor >= 0),
    source text NOT NULL,
    CHECK (state IS NULL OR country IS NOT NULL),
    CHECK (cap_minor IS NULL OR currency IS NOT NULL)
);
CREATE INDEX surcharge_rules_of ON surcharge_rules (edition);

ALTER TABLE quotes ADD COLUMN rule_id text REFERENCES surcharge_rules (id), ADD COLUMN cap bigint;

-- A quote with a surcharge is of a credit card.
ALTER TABLE methods ADD COLUMN credit_card_id uuid UNIQUE
    GENERATED ALWAYS AS (CASE WHEN kind = 'card' AND funding = 'credit' THEN id END) STORED;
ALTER TABLE quotes ADD COLUMN surcharged_method uuid
    GENERATED ALWAYS AS (CASE WHEN surcharge > 0 THEN method_id END) STORED REFERENCES methods (credit_card_id);

-- Who agreed to what, or did not, append-only. `address_hash` is SHA-256 of the consent's id and the client's address.
CREATE TABLE consents (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('surcharge', 'terms', 'autopay')),
    given boolean NOT NULL,
    customer_id uuid NOT NULL,
    payment_id uuid REFERENCES payments (id),
    quote_id uuid REFERENCES quotes (id),
    method_id uuid,
    setup_id uuid,
    actor text NOT NULL,
    at timestamptz NOT NULL,
    text_version text NOT NULL,
    currency text,
    amount bigint,
    surcharge bigint,
    rule_id text,
    rate numeric,
    cap bigint,
    request_id text,
    address_hash text,
    CHECK (kind <> 'surcharge' OR (payment_id IS NOT NULL AND currency IS NOT NULL AND amount > 0 AND surcharge > 0)),
    CHECK (kind = 'surcharge' OR coalesce(method_id, setup_id) IS NOT NULL)
);
CREATE UNIQUE INDEX consents_of_payment ON consents (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX consents_of_method ON consents (method_id, at) WHERE method_id IS NOT NULL;
CREATE INDEX consents_of_setup ON consents (setup_id) WHERE setup_id IS NOT NULL;
DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON consents, surcharge_editions, surcharge_rules FROM %I, %I',
                   current_user || '_api', current_user || '_work');
END $$;
