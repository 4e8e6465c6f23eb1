-- A file of a bank, known by its content, and what became of its lines.
CREATE TABLE bank_statements (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    format text NOT NULL,
    account text,
    status text NOT NULL CHECK (status IN ('running', 'done')),
    lines int NOT NULL,
    received_at timestamptz NOT NULL,
    actor text
);
CREATE INDEX bank_statements_running ON bank_statements (received_at, id) WHERE status = 'running';

-- `identity` is the same for one transaction in every file that tells of it.
CREATE TABLE bank_lines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    statement_id uuid NOT NULL REFERENCES bank_statements (id),
    identity text NOT NULL,
    place text NOT NULL,
    account text NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    booked_on date,
    booked boolean NOT NULL,
    bank_reference text,
    entry_reference text,
    reversal boolean NOT NULL,
    refs text[] NOT NULL,
    text text NOT NULL,
    payer text,
    payer_account text,
    code text,
    state text NOT NULL DEFAULT 'new'
        CHECK (state IN ('new', 'posted', 'matched', 'proposed', 'duplicate', 'ignored', 'resolved'))
) WITH (fillfactor = 80);
CREATE INDEX bank_lines_new ON bank_lines (statement_id, id) WHERE state = 'new';
CREATE INDEX bank_lines_of_statement ON bank_lines (statement_id, state);
CREATE INDEX bank_lines_by_reference ON bank_lines (account, bank_reference) WHERE bank_reference IS NOT NULL;
CREATE INDEX bank_lines_by_entry ON bank_lines (account, entry_reference) WHERE entry_reference IS NOT NULL;
CREATE INDEX bank_lines_of_payer ON bank_lines (payer_account, id) WHERE payer_account IS NOT NULL AND state IN ('posted', 'resolved');

-- A booked transaction counts once, whichever files tell of it.
CREATE TABLE bank_identities (
    identity text PRIMARY KEY,
    line_id bigint NOT NULL
);

-- The line that brought a payment's money; a payment recorded by hand gets it when the bank tells of it.
ALTER TABLE payments ADD COLUMN bank_line_id bigint REFERENCES bank_lines (id);
CREATE INDEX payments_of_bank_line ON payments (bank_line_id) WHERE bank_line_id IS NOT NULL;
CREATE INDEX payments_recorded ON payments (currency, amount, received_on) WHERE way = 'receive' AND bank_line_id IS NULL;

-- Numbers as people write them: without what stands between letters and digits.
CREATE INDEX invoices_by_number ON invoices (upper(regexp_replace(number, '[^A-Za-z0-9]+', '', 'g')), currency);
CREATE INDEX invoices_by_amount ON invoices (currency, payable_now, due_on) WHERE payable_now > 0;

-- What does not agree and waits for a person.
CREATE TABLE exceptions (
    id uuid PRIMARY KEY,
    class text NOT NULL CHECK (class IN ('missing_here', 'missing_there', 'wrong_amount', 'short_payment', 'doubled', 'wrong_currency')),
    state text NOT NULL CHECK (state IN ('open', 'resolved')),
    payment_id uuid REFERENCES payments (id),
    line_id bigint UNIQUE REFERENCES bank_lines (id),
    currency text NOT NULL,
    amount bigint NOT NULL,
    proposals jsonb NOT NULL,
    assigned_to text,
    created_at timestamptz NOT NULL,
    resolved_at timestamptz,
    CHECK (payment_id IS NOT NULL OR line_id IS NOT NULL)
);
CREATE INDEX exceptions_by_age ON exceptions (state, created_at, id);
CREATE UNIQUE INDEX exceptions_of_payment ON exceptions (payment_id) WHERE line_id IS NULL AND state = 'open';

-- Who did what about an exception, append-only.
CREATE TABLE exception_notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exception_id uuid NOT NULL REFERENCES exceptions (id),
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    detail text
);
CREATE INDEX exception_notes_of ON exception_notes (exception_id, id);
DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON exception_notes FROM %I, %I', current_user || '_api', current_user || '_work');
END $$;
