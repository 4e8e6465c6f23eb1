-- Money that a person decided about, or has to, is not posted when a later line tells of it otherwise. Few lines are.
CREATE INDEX bank_lines_decided ON bank_lines (account, currency, amount, booked_on) WHERE state IN ('proposed', 'resolved');
