-- The day from which an invoice is owed again: what pays it counts from then on, so that it is never paid twice on a day.
ALTER TABLE invoices ADD COLUMN reopened_on date;
UPDATE invoices i SET reopened_on = e.day
FROM (SELECT invoice_id, max(effective_on) AS day FROM entries WHERE kind = 'reverse' GROUP BY 1) e WHERE e.invoice_id = i.id;
