-- A refund that had gone and did not arrive is booked the other way round: its money is the customer's again.
ALTER TABLE ledger_transactions DROP CONSTRAINT ledger_transactions_kind_check,
    ADD CONSTRAINT ledger_transactions_kind_check CHECK (kind IN ('charge', 'receipt', 'dispute', 'dispute_won', 'reversal',
        'refund_failed', 'payout', 'payout_failed')),
    DROP CONSTRAINT ledger_transactions_check, ADD CONSTRAINT ledger_transactions_check
        CHECK ((kind IN ('dispute', 'dispute_won', 'reversal', 'refund_failed')) = (reversal_id IS NOT NULL));
