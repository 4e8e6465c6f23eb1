-- Every payment is written again when its money and its invoices are known: with room on its page, in place.
ALTER TABLE payments SET (fillfactor = 50);

-- Most payments and bookings have none of these, and an index keeps an entry for each NULL.
ALTER TABLE payments DROP CONSTRAINT payments_quote_id_key, DROP CONSTRAINT payments_provider_id_key;
CREATE UNIQUE INDEX payments_quote_id_key ON payments (quote_id) WHERE quote_id IS NOT NULL;
CREATE UNIQUE INDEX payments_provider_id_key ON payments (provider_id) WHERE provider_id IS NOT NULL;
ALTER TABLE ledger_transactions DROP CONSTRAINT ledger_transactions_reversal_id_kind_key,
    DROP CONSTRAINT ledger_transactions_payout_id_kind_key;
CREATE UNIQUE INDEX ledger_transactions_reversal_id_kind_key ON ledger_transactions (reversal_id, kind)
    WHERE reversal_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_transactions_payout_id_kind_key ON ledger_transactions (payout_id, kind)
    WHERE payout_id IS NOT NULL;
-- Bookings are found by what they book, or all of a day: this one nobody asked.
DROP INDEX ledger_transactions_of_payment;

-- What receipts from the bank ask of invoices, written once with each. An index of arrays cost more to keep, and a plan made
-- while there were few receipts read all of them instead.
CREATE TABLE receipt_parts (
    invoice_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (invoice_id, payment_id)
);
INSERT INTO receipt_parts (invoice_id, payment_id, amount)
SELECT a.invoice_id, p.id, a.minor FROM payments p CROSS JOIN LATERAL unnest(p.asked_invoices, p.asked_amounts) AS a (invoice_id, minor)
WHERE p.bank_line_id IS NOT NULL;
DROP INDEX payments_asked_of_bank;

-- How many lines of a file came to what; the rest of them are still to be taken.
CREATE TABLE bank_line_counts (
    statement_id uuid NOT NULL REFERENCES bank_statements (id),
    state text NOT NULL,
    n int NOT NULL,
    PRIMARY KEY (statement_id, state)
) WITH (fillfactor = 50);
INSERT INTO bank_line_counts SELECT statement_id, state, count(*) FROM bank_lines WHERE state <> 'new' GROUP BY 1, 2;

-- Lines are taken in their order, each batch from here on.
ALTER TABLE bank_statements ADD COLUMN taken_up_to bigint NOT NULL DEFAULT 0;
UPDATE bank_statements s SET taken_up_to = coalesce((SELECT max(id) FROM bank_lines WHERE statement_id = s.id AND state <> 'new'), 0);
