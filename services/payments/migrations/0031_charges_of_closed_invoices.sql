-- A charge is skipped when its invoice is closed, no longer on its day: those whose invoice is closed already.
UPDATE autopay_charges c SET state = 'skipped', reason = 'invoice_' || i.status
FROM invoices i WHERE i.id = c.invoice_id AND c.state = 'scheduled' AND i.status IN ('paid', 'void', 'uncollectible');
