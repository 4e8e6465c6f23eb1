-- What unapplied credit really paid for a payment, as invoicing tells it (null: not told, then its quote's plan is shown), and
-- what of that went back since.
ALTER TABLE payments ADD COLUMN credit_invoices uuid[], ADD COLUMN credit_amounts bigint[],
    ADD COLUMN credit_gone_invoices uuid[], ADD COLUMN credit_gone_amounts bigint[];

-- Which receipt's credit paid what of which payment, so that money of the receipt that goes back is known to be that payment's.
CREATE TABLE credit_uses (
    receipt_id uuid NOT NULL,
    place bigint NOT NULL,
    invoice_id uuid NOT NULL,
    payment_id uuid NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    gone bigint NOT NULL DEFAULT 0 CHECK (gone BETWEEN 0 AND amount),
    PRIMARY KEY (receipt_id, place, invoice_id)
);
