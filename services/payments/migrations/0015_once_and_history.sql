-- A method for one payment makes one: at most one that did not end without money. The payment knows by which.
ALTER TABLE payments ADD COLUMN once_method_id uuid;
UPDATE payments p SET once_method_id = p.method_id FROM (
    SELECT DISTINCT ON (p.method_id) p.id FROM payments p JOIN methods m ON m.id = p.method_id
    WHERE NOT m.saved AND p.status NOT IN ('declined', 'cancelled', 'expired') ORDER BY p.method_id, p.created_at, p.id
) first WHERE first.id = p.id;
CREATE UNIQUE INDEX payments_once ON payments (once_method_id)
    WHERE once_method_id IS NOT NULL AND status NOT IN ('declined', 'cancelled', 'expired');

-- What a payment waited for in vain is no question any more once it has ended without money.
WITH closed AS (
    UPDATE exceptions e SET state = 'resolved', resolved_at = now() FROM payments p
    WHERE p.id = e.payment_id AND p.status IN ('declined', 'cancelled', 'expired') AND e.class = 'missing_there'
    AND e.line_id IS NULL AND e.payout_line_id IS NULL AND e.state = 'open' RETURNING e.id
)
INSERT INTO exception_notes (exception_id, at, actor, action, detail)
SELECT id, now(), 'system:payments', 'resolved', 'the payment ended without money' FROM closed;

-- Tries of autopay that the bank declined before this one: what was cancelled because its invoice changed is no such try.
ALTER TABLE autopay_charges ADD COLUMN declines int NOT NULL DEFAULT 0 CHECK (declines BETWEEN 0 AND 3),
    DROP CONSTRAINT autopay_charges_attempt_check, ADD CHECK (attempt >= 1 AND declines < attempt);
UPDATE autopay_charges c SET declines = (SELECT count(*) FROM autopay_charges b JOIN payments p ON p.id = b.payment_id
    WHERE b.invoice_id = c.invoice_id AND b.attempt < c.attempt AND p.status = 'declined') WHERE attempt > 1;

-- A client's address is hashed with a secret from now on, and without one not kept. What was hashed with the consent's id
-- alone, which is in every download, gives the address to who tries them all: it goes.
UPDATE consents SET address_hash = NULL WHERE address_hash IS NOT NULL;
COMMENT ON COLUMN consents.address_hash IS 'HMAC-SHA-256, under PAYMENTS_ADDRESS_SECRET, of the consent''s id and the client''s address';

-- The history of a customer by state, and of what was received offline, of a customer and of all.
CREATE INDEX payments_of_customer_in_state ON payments (customer_id, status, created_at DESC, id DESC) WHERE status <> 'succeeded';
CREATE INDEX payments_received ON payments (created_at DESC, id DESC) WHERE way = 'receive';
CREATE INDEX payments_received_of_customer ON payments (customer_id, created_at DESC, id DESC) WHERE way = 'receive';
