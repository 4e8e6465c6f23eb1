-- Aging reads `booked_at` too: with it in the index, a customer of 10,000 entries costs no look at the table. That holds
-- for pages that vacuum has seen, so it comes often.
DROP INDEX entries_aging;
CREATE INDEX entries_aging ON entries (customer_id, effective_on) INCLUDE (currency, due_on, amount, booked_at);
DROP INDEX credit_entries_aging;
CREATE INDEX credit_entries_aging ON credit_entries (customer_id, effective_on) INCLUDE (currency, amount, booked_at);
ALTER TABLE entries SET (autovacuum_vacuum_insert_scale_factor = 0.02);
ALTER TABLE credit_entries SET (autovacuum_vacuum_insert_scale_factor = 0.02);
