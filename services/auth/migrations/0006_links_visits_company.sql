-- Links in mails that open the portal at an invoice. `ends_at`: 30 days after the invoice was paid.
CREATE TABLE payer_links (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    customer_id uuid NOT NULL,
    invoice_id uuid,
    made_at timestamptz NOT NULL,
    ends_at timestamptz,
    revoked_at timestamptz,
    said bigint NOT NULL DEFAULT 0
);
CREATE INDEX payer_links_of_invoice ON payer_links (invoice_id) WHERE revoked_at IS NULL;
CREATE INDEX payer_links_of_customer ON payer_links (customer_id) WHERE revoked_at IS NULL;
SELECT protect_by_customer('payer_links');

-- One of the company's people looks at the portal as a customer sees it: who, why, and each request.
CREATE TABLE visits (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    staff_id uuid NOT NULL REFERENCES people (id),
    customer_id uuid NOT NULL,
    reason text NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX visits_of_customer ON visits (customer_id, id DESC);
CREATE INDEX visits_living ON visits (staff_id) WHERE ended_at IS NULL;
SELECT protect_by_customer('visits');

CREATE TABLE visit_requests (
    visit_id uuid NOT NULL REFERENCES visits (id),
    at timestamptz NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    request_id text NOT NULL
);
CREATE INDEX visit_requests_of_visit ON visit_requests (visit_id, at);

-- One row: the company's settings as they are said.
CREATE TABLE company (
    id text PRIMARY KEY CHECK (id = 'company'),
    settings jsonb NOT NULL,
    sequence bigint NOT NULL
);

DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE ON visit_requests FROM %I, %I', current_user || '_api', current_user || '_work');
    EXECUTE format('REVOKE DELETE ON visits, payer_links FROM %I, %I', current_user || '_api', current_user || '_work');
END $$;
