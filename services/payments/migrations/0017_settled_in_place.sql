-- What a settlement writes is in no index's predicate: it changes the row in place, and no index, for any way of paying.
-- The question itself leaves out what is settled; an invoice has few receipts.
DROP INDEX payments_unsettled;
CREATE INDEX payments_asked_of_bank ON payments USING gin (asked_invoices) WITH (fastupdate = off)
    WHERE bank_line_id IS NOT NULL;
