-- What is to be mailed to a customer of whom no contact is known yet: one may come in the next seconds.
CREATE TABLE unaddressed (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id uuid NOT NULL,
    occasion jsonb NOT NULL,
    until timestamptz NOT NULL
);
CREATE INDEX unaddressed_by_end ON unaddressed (until);
SELECT protect_by_customer('unaddressed');

-- A customer with an address gets a contact by itself; one without may stay without contacts.
ALTER TABLE customers ADD COLUMN has_email boolean NOT NULL DEFAULT true;

-- Mails name what an invoice was issued for, and that does not change.
ALTER TABLE invoices DROP COLUMN status, DROP COLUMN payable_now;
