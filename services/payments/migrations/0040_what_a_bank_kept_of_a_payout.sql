-- What a bank kept of a payout is a fee, booked when a person says so. The ledger's old rows fit, and are not read for it.
ALTER TABLE payouts ADD COLUMN bank_fee bigint NOT NULL DEFAULT 0 CHECK (bank_fee >= 0);
ALTER TABLE ledger_transactions DROP CONSTRAINT ledger_transactions_kind_check, DROP CONSTRAINT ledger_transactions_check2,
    ADD CONSTRAINT ledger_transactions_kind_check CHECK (kind IN ('charge', 'receipt', 'dispute', 'dispute_won', 'reversal',
        'refund_failed', 'payout', 'payout_fee', 'payout_failed')) NOT VALID,
    ADD CONSTRAINT ledger_transactions_of_payouts
        CHECK ((kind IN ('payout', 'payout_fee', 'payout_failed')) = (payout_id IS NOT NULL)) NOT VALID;
