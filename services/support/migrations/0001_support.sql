CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- What support knows of others, from their events. A customer's name is null once it is erased.
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    name text,
    account_manager text -- as invoicing has it: an address, an id or a name of one of the company's people
);

-- Contacts of customers, and (without a customer) the company's own people.
CREATE TABLE people (
    id uuid PRIMARY KEY,
    customer_id uuid,
    name text,
    email text,
    role text,
    enabled boolean NOT NULL,
    CHECK ((customer_id IS NULL) = (role IS NOT NULL))
);
CREATE INDEX people_of_customer ON people (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX people_of_company ON people (role, id) WHERE customer_id IS NULL;

CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    number text NOT NULL,
    status text NOT NULL,
    currency text NOT NULL,
    total bigint NOT NULL,
    sequence bigint NOT NULL
) WITH (fillfactor = 85);

CREATE TABLE payments (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    number text,
    status text NOT NULL,
    reconciliation text,
    sequence bigint NOT NULL
) WITH (fillfactor = 85);

-- A ticket as it is after its last event. `status` and what follows it are derived from `ticket_events`; they stand here
-- for lists. `search`: what both sides can read, in lower case; no notes, because contacts search, too.
CREATE TABLE tickets (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY (START WITH 1001) UNIQUE,
    customer_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('request', 'payment', 'question', 'dispute')),
    subject text NOT NULL,
    invoice_id uuid,
    payment_id uuid,
    follows uuid REFERENCES tickets (id),
    search text NOT NULL,
    created_at timestamptz NOT NULL,
    status text NOT NULL CHECK (status IN ('new', 'open', 'waiting_for_you', 'solved', 'closed')),
    changed_at timestamptz NOT NULL,
    assignee uuid,
    escalated boolean NOT NULL,
    ended_at timestamptz,
    answered_at timestamptz,
    sequence bigint NOT NULL,
    notices bigint NOT NULL,
    entries int NOT NULL,
    CHECK ((status IN ('solved', 'closed')) = (ended_at IS NOT NULL))
) WITH (fillfactor = 85);
CREATE INDEX tickets_changed ON tickets (changed_at DESC, id DESC);
CREATE INDEX tickets_of_customer ON tickets (customer_id, changed_at DESC, id DESC);
CREATE INDEX tickets_of_customer_by_status ON tickets (customer_id, status, changed_at DESC, id DESC);
CREATE INDEX tickets_by_status ON tickets (status, changed_at DESC, id DESC);
CREATE INDEX tickets_by_kind ON tickets (kind, status, changed_at DESC, id DESC);
CREATE INDEX tickets_of_assignee ON tickets (assignee, status, changed_at DESC, id DESC);
CREATE INDEX tickets_searched ON tickets USING gin (search gin_trgm_ops);
CREATE INDEX tickets_of_payment ON tickets (payment_id) WHERE payment_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX tickets_that_follow ON tickets (follows) WHERE follows IS NOT NULL;

-- What happened to a ticket, in order; nothing is changed or deleted. `status`: of the ticket after it.
CREATE TABLE ticket_events (
    ticket_id uuid NOT NULL REFERENCES tickets (id),
    place int NOT NULL,
    customer_id uuid NOT NULL,
    what text NOT NULL,
    at timestamptz NOT NULL,
    side text NOT NULL CHECK (side IN ('customer', 'company', 'system')),
    by_kind text NOT NULL CHECK (by_kind IN ('contact', 'staff', 'system')),
    by_id text NOT NULL,
    acting_for uuid,
    text text NOT NULL,
    internal boolean NOT NULL,
    assignee uuid,
    status text NOT NULL,
    PRIMARY KEY (ticket_id, place)
);

SELECT protect_by_customer(name) FROM unnest(ARRAY['people', 'invoices', 'payments', 'tickets', 'ticket_events']) AS name;
SELECT protect_by_customer('customers', 'id');
DO $$
BEGIN
    -- What only the company sees of a thread does not exist for the portal. The role that answers requests is a member of
    -- the portal's, so that this policy is asked for it, too: it reads all.
    EXECUTE format('CREATE POLICY no_notes ON ticket_events AS RESTRICTIVE FOR SELECT TO %I
                    USING (NOT internal OR current_user <> %L)', current_user || '_portal', current_user || '_portal');
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON ticket_events FROM %I, %I',
                   current_user || '_api', current_user || '_work');
END $$;
