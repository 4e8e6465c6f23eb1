CREATE TABLE customers (
    id uuid PRIMARY KEY,
    external_id text NOT NULL UNIQUE,
    name text NOT NULL,
    email text,
    address text,
    account_manager text,
    sequence bigint NOT NULL,
    created_at timestamptz NOT NULL
);

-- Stored state; In Progress and Overdue are derived from the amounts and the day, never stored.
CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    number text NOT NULL UNIQUE,
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('draft', 'open', 'paid', 'void', 'uncollectible')),
    issued_on date NOT NULL,
    due_on date NOT NULL CHECK (due_on >= issued_on),
    total bigint NOT NULL CHECK (total > 0),
    credited bigint NOT NULL DEFAULT 0 CHECK (credited >= 0),
    settled bigint NOT NULL DEFAULT 0 CHECK (settled >= 0),
    pending bigint NOT NULL DEFAULT 0 CHECK (pending >= 0),
    po_number text,
    search text NOT NULL,
    fingerprint bytea NOT NULL,
    sequence bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK (total - credited - settled - pending >= 0),
    CHECK (state <> 'paid' OR total = credited + settled),
    CHECK (state IN ('open', 'paid', 'uncollectible') OR pending = 0)
) WITH (fillfactor = 85);
CREATE INDEX invoices_newest ON invoices (customer_id, issued_on DESC, id DESC);
CREATE INDEX invoices_newest_of_all ON invoices (issued_on DESC, id DESC);
CREATE INDEX invoices_due ON invoices (customer_id, due_on, id);
CREATE INDEX invoices_open ON invoices (customer_id, currency, due_on, issued_on, number) WHERE state = 'open';
CREATE INDEX invoices_open_newest ON invoices (customer_id, issued_on DESC, id DESC) WHERE state = 'open';
CREATE INDEX invoices_paid_newest ON invoices (customer_id, issued_on DESC, id DESC) WHERE state = 'paid';
CREATE INDEX invoices_number ON invoices (number text_pattern_ops);

CREATE TABLE invoice_documents (
    invoice_id uuid PRIMARY KEY REFERENCES invoices (id),
    lines jsonb NOT NULL,
    taxes jsonb NOT NULL,
    terms text,
    notes text
);

-- One of the two books. Amounts are signed: what is owed is their sum. Append-only; `due_on` stands here so that aging
-- of any day is one index.
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    due_on date NOT NULL,
    kind text NOT NULL CHECK (kind IN ('issue', 'credit', 'settle', 'reverse', 'void')),
    amount bigint NOT NULL CHECK (amount <> 0),
    effective_on date NOT NULL,
    booked_at timestamptz NOT NULL,
    payment_id uuid
);
CREATE INDEX entries_aging ON entries (customer_id, effective_on) INCLUDE (currency, due_on, amount);
CREATE INDEX entries_of_invoice ON entries (invoice_id);

CREATE TABLE credits (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    payment_id uuid NOT NULL UNIQUE,
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    balance bigint NOT NULL CHECK (balance >= 0 AND balance <= amount),
    sequence bigint NOT NULL
);
CREATE TABLE credit_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    credit_id uuid NOT NULL REFERENCES credits (id),
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    effective_on date NOT NULL,
    booked_at timestamptz NOT NULL
);
CREATE INDEX credit_entries_aging ON credit_entries (customer_id, effective_on) INCLUDE (currency, amount);

CREATE TABLE reservations (
    payment_id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('placed', 'refused', 'released', 'settled')),
    invoice_ids uuid[] NOT NULL,
    amounts bigint[] NOT NULL,
    sequence bigint NOT NULL
);

CREATE TABLE settlements (
    payment_id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    invoice_ids uuid[] NOT NULL,
    amounts bigint[] NOT NULL,
    credit bigint NOT NULL CHECK (credit >= 0),
    effective_on date NOT NULL,
    reversed boolean NOT NULL DEFAULT false,
    sequence bigint NOT NULL
);

DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON entries, credit_entries FROM %I, %I', current_user || '_api', current_user || '_work');
END $$;
