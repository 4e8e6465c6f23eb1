-- What a customer is called, of letters and digits alone: a payer of that name may be it. Of customers that were there before,
-- it is known once they change.
ALTER TABLE customers ADD COLUMN plain_name text;
CREATE INDEX customers_by_name ON customers (plain_name) WHERE plain_name IS NOT NULL;
