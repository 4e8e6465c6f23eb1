-- What a bank takes back is looked for by reference and amount, else by the account that paid it: never by amount alone.
DROP INDEX bank_lines_by_amount, bank_lines_by_reference, bank_lines_by_entry;
CREATE INDEX bank_lines_by_reference ON bank_lines (account, bank_reference, amount) WHERE bank_reference IS NOT NULL;
CREATE INDEX bank_lines_by_entry ON bank_lines (account, entry_reference, amount) WHERE entry_reference IS NOT NULL;
CREATE INDEX bank_lines_paid_by ON bank_lines (account, payer_account, amount) WHERE payer_account IS NOT NULL;

-- Receipts from the bank that invoicing has not answered yet, by the invoices that they ask for.
CREATE INDEX payments_unsettled ON payments USING gin (asked_invoices)
    WHERE bank_line_id IS NOT NULL AND allocated_invoices = '{}' AND credit = 0 AND going_back = 0;

-- What a person decided and was answered, so that the same request again, after a lost reply, gets the same answer.
ALTER TABLE exceptions ADD COLUMN decision bytea, ADD COLUMN answer bytea, ADD CHECK ((decision IS NULL) = (answer IS NULL));
