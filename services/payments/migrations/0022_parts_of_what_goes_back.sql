-- What the provider takes at once is booked in parts where there is not room for all of it: the rest, when a refund failed.
ALTER TABLE reversals ADD COLUMN part int NOT NULL DEFAULT 1 CHECK (part > 0), DROP CONSTRAINT reversals_provider_id_key,
    ADD UNIQUE (provider_id, part);

-- Two refunds of a payment may each need a person. What was told about one is told once, also after it was resolved.
ALTER TABLE exceptions ADD COLUMN provider_id text, ADD CHECK (provider_id IS NULL OR payment_id IS NOT NULL);
DROP INDEX exceptions_of_payment;
CREATE UNIQUE INDEX exceptions_of_payment ON exceptions (payment_id)
    WHERE line_id IS NULL AND payout_line_id IS NULL AND provider_id IS NULL AND state = 'open';
CREATE UNIQUE INDEX exceptions_about ON exceptions (payment_id, provider_id) WHERE provider_id IS NOT NULL;
