-- What the provider sends to the company's bank account, and what each payout consists of.
CREATE TABLE payouts (
    provider_id text PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('pending', 'in_transit', 'paid', 'failed', 'cancelled')),
    currency text NOT NULL,
    amount bigint NOT NULL,
    arrives_on date NOT NULL,
    trace text,
    created_at timestamptz NOT NULL,
    booked boolean NOT NULL DEFAULT false,
    look_at timestamptz,
    bank_line_id bigint REFERENCES bank_lines (id)
);
CREATE INDEX payouts_to_look_at ON payouts (look_at) WHERE look_at IS NOT NULL;
CREATE INDEX payouts_newest ON payouts (created_at DESC, provider_id DESC);
CREATE INDEX payouts_to_arrive ON payouts (currency, amount) WHERE bank_line_id IS NULL;
CREATE TABLE payout_lines (
    provider_id text PRIMARY KEY,
    payout_id text NOT NULL REFERENCES payouts (provider_id),
    kind text NOT NULL,
    charge_id text,
    amount bigint NOT NULL,
    fee bigint NOT NULL,
    net bigint NOT NULL CHECK (net = amount - fee),
    at timestamptz NOT NULL
);
CREATE INDEX payout_lines_of ON payout_lines (payout_id);
CREATE INDEX payout_lines_of_charge ON payout_lines (charge_id) WHERE charge_id IS NOT NULL;

-- The ledger books payouts and their fees beside payments: these have no customer.
ALTER TABLE ledger_entries ALTER COLUMN customer_id DROP NOT NULL, ADD CHECK (customer_id IS NOT NULL OR account IN ('psp_clearing', 'bank', 'fees'));
ALTER TABLE ledger_transactions ALTER COLUMN payment_id DROP NOT NULL, ADD COLUMN payout_id text REFERENCES payouts (provider_id);
ALTER TABLE ledger_transactions DROP CONSTRAINT ledger_transactions_kind_check, DROP CONSTRAINT ledger_transactions_check,
    ADD CHECK ((kind IN ('dispute', 'dispute_won', 'reversal')) = (reversal_id IS NOT NULL)),
    ADD CONSTRAINT ledger_transactions_kind_check CHECK (kind IN ('charge', 'receipt', 'dispute', 'dispute_won', 'reversal', 'payout', 'payout_failed')),
    ADD CHECK ((payment_id IS NULL) <> (payout_id IS NULL)), ADD CHECK ((kind IN ('payout', 'payout_failed')) = (payout_id IS NOT NULL)),
    ADD UNIQUE (payout_id, kind);
CREATE INDEX ledger_transactions_by_day ON ledger_transactions (effective_on);

-- A payout may hold what is none of ours.
ALTER TABLE exceptions ADD COLUMN payout_line_id text UNIQUE REFERENCES payout_lines (provider_id),
    DROP CONSTRAINT exceptions_check, ADD CHECK (num_nonnulls(payment_id, line_id, payout_line_id) > 0);
DROP INDEX exceptions_of_payment;
CREATE UNIQUE INDEX exceptions_of_payment ON exceptions (payment_id) WHERE line_id IS NULL AND payout_line_id IS NULL AND state = 'open';
