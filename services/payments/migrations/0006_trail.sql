-- What everything that a payment leads to is found by, whoever it comes from; and the quote that follows one which no longer
-- fitted when invoicing was to reserve it.
ALTER TABLE payments ADD COLUMN correlation text, ADD COLUMN new_quote_id uuid REFERENCES quotes (id);
ALTER TABLE quotes ADD COLUMN rate numeric NOT NULL DEFAULT 0, ADD COLUMN step int NOT NULL DEFAULT 1;
-- The history of a method, and by state.
CREATE INDEX payments_of_method ON payments (method_id, created_at DESC, id DESC) WHERE method_id IS NOT NULL;
CREATE INDEX payments_in_state ON payments (status, created_at DESC, id DESC) WHERE status <> 'succeeded';
