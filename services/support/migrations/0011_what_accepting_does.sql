-- What a dispute's acceptance does to its invoice: what each line comes to, what can be paid now, what is under way. Null: of an
-- invoice that was issued before invoicing said so.
ALTER TABLE invoices ADD COLUMN lines bigint[], ADD COLUMN payable_now bigint, ADD COLUMN pending bigint;
-- The credit note of an accepted dispute: `note_applied` of it paid the invoice, the rest is the customer's credit.
ALTER TABLE disputes ADD COLUMN note_number text, ADD COLUMN note_amount bigint, ADD COLUMN note_applied bigint,
    ADD CHECK (note_number IS NULL OR status = 'accepted');
