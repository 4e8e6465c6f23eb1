-- What went back of a customer's payments, the newest first.
CREATE INDEX entries_reversed ON entries (customer_id, id DESC) WHERE kind = 'reverse';
