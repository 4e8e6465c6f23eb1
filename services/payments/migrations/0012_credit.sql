-- Unapplied money of customers, as invoicing tells it; quotes and payments may use some of it before cash.
CREATE TABLE credits (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    currency text NOT NULL,
    available bigint NOT NULL,
    sequence bigint NOT NULL
);
CREATE INDEX credits_available ON credits (customer_id, currency) INCLUDE (available) WHERE available > 0;
ALTER TABLE quotes ADD COLUMN credit_used bigint NOT NULL DEFAULT 0 CHECK (credit_used >= 0), DROP CONSTRAINT quotes_amount_check,
    ADD CHECK (amount >= 0 AND amount + credit_used > 0);
ALTER TABLE payments ADD COLUMN credit_used bigint NOT NULL DEFAULT 0 CHECK (credit_used >= 0), DROP CONSTRAINT payments_amount_check,
    ADD CHECK (amount >= 0 AND amount + credit_used > 0);
