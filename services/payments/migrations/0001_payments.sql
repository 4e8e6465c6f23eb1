-- Projections of invoicing: what quotes and receipts need to know.
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    sequence bigint NOT NULL
);
CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    number text NOT NULL,
    status text NOT NULL,
    currency text NOT NULL,
    issued_on date NOT NULL,
    due_on date NOT NULL,
    balance bigint NOT NULL,
    payable_now bigint NOT NULL,
    sequence bigint NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX invoices_payable ON invoices (customer_id, currency, due_on, issued_on, number) WHERE payable_now > 0;

CREATE TABLE provider_customers (
    customer_id uuid PRIMARY KEY,
    provider_id text NOT NULL UNIQUE
);
CREATE TABLE methods (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    provider_id text NOT NULL UNIQUE,
    kind text NOT NULL CHECK (kind IN ('card', 'bank_account')),
    funding text CHECK (funding IN ('credit', 'debit', 'prepaid', 'unknown')),
    brand text,
    last4 text,
    terms_accepted_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX methods_of_customer ON methods (customer_id, created_at);

CREATE TABLE quotes (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    method_id uuid NOT NULL REFERENCES methods (id),
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    surcharge bigint NOT NULL CHECK (surcharge >= 0),
    invoice_ids uuid[] NOT NULL,
    amounts bigint[] NOT NULL,
    whole boolean[] NOT NULL,
    expires_at timestamptz NOT NULL,
    payment_id uuid UNIQUE,
    created_at timestamptz NOT NULL
);

CREATE TABLE payments (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    way text NOT NULL CHECK (way IN ('collect', 'receive')),
    status text NOT NULL CHECK (status IN ('submitted', 'reserved', 'requires_action', 'processing', 'unknown',
        'succeeded', 'declined', 'cancelled', 'expired')),
    reconciliation text CHECK (reconciliation IN ('waiting', 'matched', 'mismatch', 'exception')),
    reason text,
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    surcharge bigint NOT NULL DEFAULT 0 CHECK (surcharge >= 0),
    asked_invoices uuid[] NOT NULL,
    asked_amounts bigint[] NOT NULL,
    method_id uuid,
    quote_id uuid UNIQUE,
    received_on date,
    reference text,
    effective_on date,
    expected_by date,
    allocated_invoices uuid[] NOT NULL DEFAULT '{}',
    allocated_amounts bigint[] NOT NULL DEFAULT '{}',
    credit bigint NOT NULL DEFAULT 0,
    reversed bigint NOT NULL DEFAULT 0 CHECK (reversed BETWEEN 0 AND amount + surcharge),
    provider_id text UNIQUE,
    sequence bigint NOT NULL,
    polls int NOT NULL DEFAULT 0,
    next_poll_at timestamptz,
    created_at timestamptz NOT NULL,
    CHECK (reconciliation IS DISTINCT FROM 'matched' OR status = 'succeeded'),
    CHECK (reversed = 0 OR reconciliation = 'matched')
) WITH (fillfactor = 85);
CREATE INDEX payments_to_poll ON payments (next_poll_at) WHERE next_poll_at IS NOT NULL;
CREATE INDEX payments_waiting ON payments (expected_by) WHERE reconciliation = 'waiting' AND expected_by IS NOT NULL;
CREATE INDEX payments_newest ON payments (customer_id, created_at DESC, id DESC);

-- A call to the provider: recorded before it is made, under the key that makes it happen once.
CREATE TABLE attempts (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    state text NOT NULL CHECK (state IN ('begun', 'answered')),
    provider_customer text NOT NULL,
    provider_method text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    begun_at timestamptz NOT NULL,
    calls int NOT NULL DEFAULT 0,
    call_after timestamptz NOT NULL
);
-- A second attempt only after the first is final.
CREATE UNIQUE INDEX attempts_open ON attempts (payment_id) WHERE state = 'begun';
CREATE INDEX attempts_to_call ON attempts (call_after) WHERE state = 'begun';
CREATE INDEX attempts_of_payment ON attempts (payment_id);

CREATE TABLE provider_events (
    id text PRIMARY KEY,
    kind text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL
);
CREATE TABLE provider_cursor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    cursor text NOT NULL
);

-- The other of the two books: double entry, signed (debit above zero), append-only.
CREATE TABLE ledger_transactions (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    kind text NOT NULL CHECK (kind IN ('charge', 'receipt', 'reversal')),
    effective_on date NOT NULL,
    booked_at timestamptz NOT NULL,
    reverses_id uuid UNIQUE REFERENCES ledger_transactions (id),
    CHECK ((kind = 'reversal') = (reverses_id IS NOT NULL)),
    UNIQUE (payment_id, kind)
);
CREATE TABLE ledger_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id uuid NOT NULL REFERENCES ledger_transactions (id),
    account text NOT NULL CHECK (account IN ('psp_clearing', 'bank', 'customer_funds', 'surcharge_income', 'fees', 'disputed')),
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0)
);
CREATE INDEX ledger_entries_of ON ledger_entries (transaction_id);
CREATE INDEX ledger_entries_funds ON ledger_entries (customer_id, currency) INCLUDE (amount) WHERE account = 'customer_funds';

-- Its plan is made once per session, perhaps while the table is empty: never by a sequential scan.
CREATE FUNCTION ledger_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM ledger_entries WHERE transaction_id = NEW.transaction_id GROUP BY currency HAVING sum(amount) <> 0) THEN
        RAISE EXCEPTION 'ledger transaction % does not sum to zero', NEW.transaction_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$ SET enable_seqscan = off;
CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_balances();

DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON ledger_transactions, ledger_entries FROM %I, %I',
                   current_user || '_api', current_user || '_work');
END $$;
