SELECT protect_by_customer('customers', 'id');
SELECT protect_by_customer(c.table_name) FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND c.column_name = 'customer_id' AND t.table_type = 'BASE TABLE' ORDER BY c.table_name;
SELECT readable_beside(name)
FROM unnest(ARRAY['attempts', 'credit_uses', 'history', 'receipt_parts', 'surcharge_editions', 'surcharge_rules']) AS name;
