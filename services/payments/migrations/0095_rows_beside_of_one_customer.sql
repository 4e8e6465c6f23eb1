-- Tables without a customer, of which the portal role could read every row: now only those beside a payment of the
-- customer for whom it reads. The payments in the conditions are themselves that customer's alone for this role.
DO $$
DECLARE
    beside record;
BEGIN
    FOR beside IN SELECT * FROM (VALUES
        ('attempts', 'payment_id'), ('credit_uses', 'payment_id'), ('history', 'aggregate'), ('receipt_parts', 'payment_id')
    ) AS t (name, payment) LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', beside.name);
        EXECUTE format('CREATE POLICY all_rows ON %I TO %I, %I USING (true) WITH CHECK (true)',
                       beside.name, current_user || '_api', current_user || '_work');
        EXECUTE format('CREATE POLICY beside_own ON %1$I FOR SELECT TO %2$I USING (EXISTS (SELECT FROM payments p WHERE p.id = %1$I.%3$I))',
                       beside.name, current_user || '_portal', beside.payment);
    END LOOP;
END $$;

-- The answer that is kept under an Idempotency-Key of a payment is found together with its quote. Keys of requests that
-- move no money are of a caller, not of a customer, so the portal role sees none of them.
DO $$
BEGIN
    ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
    EXECUTE format('CREATE POLICY all_rows ON idempotency_keys TO %I, %I USING (true) WITH CHECK (true)',
                   current_user || '_api', current_user || '_work');
    EXECUTE format('CREATE POLICY of_one_customer ON idempotency_keys FOR SELECT TO %I USING (customer = current_setting(''paidup.customer''))',
                   current_user || '_portal');
    EXECUTE format('GRANT SELECT ON idempotency_keys TO %I', current_user || '_portal');
END $$;
