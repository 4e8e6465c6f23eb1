-- Tables without a customer, of which the portal role could read every row: now only those about an invoice or a payment
-- of the customer for whom it reads. The tables in the conditions are themselves that customer's alone for this role.
DO $$
DECLARE
    api text := current_user || '_api';
    work text := current_user || '_work';
    portal text := current_user || '_portal';
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['invoice_documents', 'history', 'heard'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY all_rows ON %I TO %I, %I USING (true) WITH CHECK (true)', name, api, work);
    END LOOP;
    EXECUTE format('CREATE POLICY beside_own ON invoice_documents FOR SELECT TO %I
        USING (EXISTS (SELECT FROM invoices i WHERE i.id = invoice_documents.invoice_id))', portal);
    EXECUTE format('CREATE POLICY beside_own ON history FOR SELECT TO %I
        USING (EXISTS (SELECT FROM invoices i WHERE i.id = history.aggregate))', portal);
    EXECUTE format('CREATE POLICY beside_own ON heard FOR SELECT TO %I USING (
        about = current_setting(''paidup.customer'')::uuid
        OR EXISTS (SELECT FROM invoices i WHERE i.id = about)
        OR EXISTS (SELECT FROM reservations r WHERE r.payment_id = about)
        OR EXISTS (SELECT FROM settlements s WHERE s.payment_id = about))', portal);
END $$;
