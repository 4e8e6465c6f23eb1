-- `left_out` is what further tries may charge besides: 0 if nothing is left, as once the invoice was closed.
ALTER TABLE autopay_charges DROP CONSTRAINT autopay_charges_left_out_check, ADD CHECK (left_out >= 0);
-- Of tries from before: nothing of invoices that are closed, and of others no more than can be paid now.
UPDATE autopay_charges c SET left_out = CASE WHEN i.status IN ('paid', 'void', 'uncollectible') THEN 0 ELSE i.payable_now END
FROM invoices i WHERE i.id = c.invoice_id AND c.reason = 'part_held' AND c.state IN ('submitted', 'paid')
    AND (i.status IN ('paid', 'void', 'uncollectible') OR (c.state = 'paid' AND c.left_out IS NULL));
