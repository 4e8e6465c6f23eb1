-- What a bank takes back is looked for among the lines of its account and amount.
CREATE INDEX bank_lines_by_amount ON bank_lines (account, amount);
