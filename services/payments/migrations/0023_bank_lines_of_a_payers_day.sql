-- What a payer's day has of one amount is counted: without the day, all that it ever paid would be read.
DROP INDEX bank_lines_paid_by;
CREATE INDEX bank_lines_paid_by ON bank_lines (account, payer_account, amount, booked_on) WHERE payer_account IS NOT NULL;
