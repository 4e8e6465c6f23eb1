-- What waits to be sorted into the index is read whole by every question; here each batch asks about 500 invoices.
DROP INDEX payments_unsettled;
CREATE INDEX payments_unsettled ON payments USING gin (asked_invoices) WITH (fastupdate = off)
    WHERE bank_line_id IS NOT NULL AND allocated_invoices = '{}' AND credit = 0 AND going_back = 0;
