-- A bank's reference may come again on another day, and is other money then: what counts once is an identity on its day.
ALTER TABLE bank_identities ADD COLUMN booked_on date;
UPDATE bank_identities i SET booked_on = l.booked_on FROM bank_lines l WHERE l.id = i.line_id;
ALTER TABLE bank_identities DROP CONSTRAINT bank_identities_pkey, ADD PRIMARY KEY (identity, booked_on);
