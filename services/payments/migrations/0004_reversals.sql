-- Money that goes back: refunds, bank returns, chargebacks. Each books in the ledger once a kind; together they never
-- exceed what was charged.
CREATE TABLE reversals (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments (id),
    customer_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('refund', 'return', 'chargeback')),
    state text NOT NULL CHECK (state IN ('requested', 'processing', 'open', 'succeeded', 'failed', 'won')),
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    surcharge bigint NOT NULL CHECK (surcharge >= 0),
    code text,
    reason text,
    provider_id text UNIQUE,
    effective_on date,
    calls int NOT NULL DEFAULT 0,
    call_after timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    CHECK (amount + surcharge > 0),
    CHECK ((state IN ('succeeded', 'won')) <= (effective_on IS NOT NULL))
);
CREATE INDEX reversals_of_payment ON reversals (payment_id, created_at);
CREATE INDEX reversals_to_call ON reversals (call_after) WHERE state = 'requested';

-- Minor units with surcharge: `going_back` counts every reversal that has not failed or been won.
ALTER TABLE payments ADD COLUMN reversed_surcharge bigint NOT NULL DEFAULT 0, ADD COLUMN going_back bigint NOT NULL DEFAULT 0,
    ADD COLUMN disputed bigint NOT NULL DEFAULT 0;
UPDATE payments SET going_back = reversed, reversed_surcharge = surcharge WHERE reversed > 0;
ALTER TABLE payments ADD CHECK (going_back BETWEEN reversed AND amount + surcharge),
    ADD CHECK (reversed_surcharge BETWEEN 0 AND surcharge), ADD CHECK (disputed BETWEEN 0 AND going_back - reversed);

-- How it was paid: how long its bank may take it back depends on it.
ALTER TABLE payments ADD COLUMN method_kind text CHECK (method_kind IN ('card', 'bank_account'));
UPDATE payments p SET method_kind = m.kind FROM methods m WHERE m.id = p.method_id;

-- What was taken back so far was taken back whole, by a bank.
INSERT INTO reversals (id, payment_id, customer_id, kind, state, currency, amount, surcharge, code, effective_on, call_after,
    created_at)
SELECT t.id, p.id, p.customer_id, 'return', 'succeeded', p.currency, p.amount, p.surcharge, substr(p.reason, 10),
    t.effective_on, t.booked_at, t.booked_at
FROM ledger_transactions t JOIN payments p ON p.id = t.payment_id WHERE t.kind = 'reversal';

ALTER TABLE ledger_transactions ADD COLUMN reversal_id uuid REFERENCES reversals (id);
UPDATE ledger_transactions SET reversal_id = id WHERE kind = 'reversal';
ALTER TABLE ledger_transactions DROP COLUMN reverses_id, DROP CONSTRAINT ledger_transactions_payment_id_kind_key,
    DROP CONSTRAINT ledger_transactions_kind_check,
    ADD CHECK (kind IN ('charge', 'receipt', 'dispute', 'dispute_won', 'reversal')),
    ADD CHECK ((kind IN ('charge', 'receipt')) = (reversal_id IS NULL)), ADD UNIQUE (reversal_id, kind);
CREATE UNIQUE INDEX ledger_transactions_came ON ledger_transactions (payment_id) WHERE kind IN ('charge', 'receipt');
CREATE INDEX ledger_transactions_of_payment ON ledger_transactions (payment_id);
