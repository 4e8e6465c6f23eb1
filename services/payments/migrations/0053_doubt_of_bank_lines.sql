-- `balance_before`: on the account before the entry, in minor units, where a statement says so. Lines that are alike in all
-- else, but not in this, are probably two.
-- `own_refs`: those of `refs` by which payers and banks count for themselves. Digits there are an invoice's number by chance.
ALTER TABLE bank_lines ADD COLUMN balance_before bigint, ADD COLUMN own_refs text[] NOT NULL DEFAULT '{}';
-- Of lines that only their text tells apart, one that stands in the same place is looked for.
CREATE INDEX bank_lines_standing ON bank_lines (account, balance_before, amount)
    WHERE balance_before IS NOT NULL AND num_nonnulls(payer_account, bank_reference, entry_reference) = 0;
