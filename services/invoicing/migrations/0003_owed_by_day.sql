-- What a customer owes, summed by due date and effective day: aging of any day reads as many rows as there were days, not
-- as many as there were invoices. Kept by the statement that books entries, whose sums it must equal (check-money).
CREATE TABLE owed_by_day (
    customer_id uuid NOT NULL,
    effective_on date NOT NULL,
    currency text NOT NULL,
    due_on date NOT NULL,
    amount bigint NOT NULL,
    PRIMARY KEY (customer_id, effective_on, currency, due_on)
) WITH (fillfactor = 80);
INSERT INTO owed_by_day (customer_id, effective_on, currency, due_on, amount)
SELECT customer_id, effective_on, currency, due_on, sum(amount)::bigint FROM entries GROUP BY 1, 2, 3, 4;
DROP INDEX entries_aging;
ALTER TABLE entries RESET (autovacuum_vacuum_insert_scale_factor);
