-- What the provider takes at once is booked in parts where there is not room for all of it: the rest, when a refund failed.
ALTER TABLE reversals ADD COLUMN part int NOT NULL DEFAULT 1 CHECK (part > 0), DROP CONSTRAINT reversals_provider_id_key,
    ADD UNIQUE (provider_id, part);

-- Two refunds of a payment may each need a person. What was told about one is told once of its class, also after it was
-- resolved: what was told before is about the only one that there is.
ALTER TABLE exceptions ADD COLUMN provider_id text, ADD CHECK (provider_id IS NULL OR payment_id IS NOT NULL);
DROP INDEX exceptions_of_payment;
CREATE UNIQUE INDEX exceptions_of_payment ON exceptions (payment_id)
    WHERE line_id IS NULL AND payout_line_id IS NULL AND provider_id IS NULL AND state = 'open';
UPDATE exceptions e SET provider_id = r.provider_id FROM (
    SELECT payment_id, min(provider_id) AS provider_id, min(created_at) AS since FROM reversals WHERE provider_id IS NOT NULL
    GROUP BY 1 HAVING count(*) = 1
) r WHERE r.payment_id = e.payment_id AND e.created_at >= r.since AND e.line_id IS NULL AND e.payout_line_id IS NULL
    AND e.class IN ('wrong_amount', 'missing_there')
    AND e.id = (SELECT id FROM exceptions o WHERE o.payment_id = e.payment_id AND o.class = e.class AND o.line_id IS NULL
        AND o.payout_line_id IS NULL ORDER BY o.created_at DESC, id LIMIT 1);
CREATE UNIQUE INDEX exceptions_about ON exceptions (payment_id, provider_id, class) WHERE provider_id IS NOT NULL;
