-- A method for one payment makes one: at most one that did not end without money. The payment knows by which.
ALTER TABLE payments ADD COLUMN once_method_id uuid;
UPDATE payments p SET once_method_id = p.method_id FROM (
    SELECT DISTINCT ON (p.method_id) p.id FROM payments p JOIN methods m ON m.id = p.method_id
    WHERE NOT m.saved AND p.status NOT IN ('declined', 'cancelled', 'expired') ORDER BY p.method_id, p.created_at, p.id
) first WHERE first.id = p.id;
CREATE UNIQUE INDEX payments_once ON payments (once_method_id)
    WHERE once_method_id IS NOT NULL AND status NOT IN ('declined', 'cancelled', 'expired');
