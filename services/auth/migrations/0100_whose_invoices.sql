-- Whose an invoice is: a payer link is made for an invoice of its own customer alone.
CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL
);
SELECT protect_by_customer('invoices');
INSERT INTO invoices (id, customer_id)
SELECT DISTINCT ON (invoice_id) invoice_id, customer_id FROM payer_links WHERE said > 0 AND invoice_id IS NOT NULL
ORDER BY invoice_id, id;
