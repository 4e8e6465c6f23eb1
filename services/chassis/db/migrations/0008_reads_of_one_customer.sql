-- The role <owner>_portal reads for one customer at a time. Whatever a query of it asks for, the database answers rows of
-- that customer alone. It reads only tables that are granted to it here, one by one.
DO $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', current_user || '_portal');
END $$;

-- Every table that has a customer calls this once. The other roles see all rows as before; so does the owner, to whom row
-- security does not apply. One equality, so that the index on the customer is used under generic plans too.
CREATE FUNCTION protect_by_customer(name text, customer text DEFAULT 'customer_id') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY all_rows ON %I TO %I, %I USING (true) WITH CHECK (true)',
                   name, current_user || '_api', current_user || '_work');
    EXECUTE format('CREATE POLICY of_one_customer ON %I FOR SELECT TO %I USING (%I = current_setting(''paidup.customer'')::uuid)',
                   name, current_user || '_portal', customer);
    EXECUTE format('GRANT SELECT ON %I TO %I', name, current_user || '_portal');
END $$;

-- For tables without a customer, of which a query reads the rows of something that is protected.
CREATE FUNCTION readable_beside(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT SELECT ON %I TO %I', name, current_user || '_portal');
END $$;
