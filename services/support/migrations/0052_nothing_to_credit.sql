-- Accepted disputes for which no credit note comes: the invoice is void, or credited in full. Invoicing says so from now on; of
-- older ones it follows from what is known here.
ALTER TABLE disputes ADD COLUMN uncredited boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT uncredited OR (status = 'accepted' AND note_number IS NULL));
UPDATE disputes d SET uncredited = true FROM invoices i
WHERE i.id = d.invoice_id AND d.status = 'accepted' AND d.note_number IS NULL AND (i.status = 'void'
    OR (SELECT sum(o.note_amount) FROM disputes o WHERE o.invoice_id = d.invoice_id) >= i.total);
