-- Credit that payments under way hold, beside the invoices that it is for.
ALTER TABLE credits ADD COLUMN pending bigint NOT NULL DEFAULT 0 CHECK (pending >= 0);
CREATE INDEX credits_of_customer ON credits (customer_id, currency, id) WHERE balance > 0;
ALTER TABLE reservations ADD COLUMN credit_ids uuid[] NOT NULL DEFAULT '{}', ADD COLUMN credit_amounts bigint[] NOT NULL DEFAULT '{}';
