-- What receipts from the bank ask of an invoice is taken off it until the invoice itself has told of the payment: the payment's
-- own settlement comes on another topic, and may come first.
ALTER TABLE receipt_parts ADD COLUMN settled boolean NOT NULL DEFAULT false, SET (fillfactor = 70);
UPDATE receipt_parts r SET settled = true FROM payments p
WHERE p.id = r.payment_id AND (p.allocated_invoices <> '{}' OR p.credit > 0 OR p.going_back > 0);
