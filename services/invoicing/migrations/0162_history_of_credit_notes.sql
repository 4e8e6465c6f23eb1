-- An invoice's timeline shows what its credit notes became: `history` keeps their events, too.
DO $$
DECLARE
    portal text := current_user || '_portal';
BEGIN
    EXECUTE format('DROP POLICY beside_own ON history');
    EXECUTE format('CREATE POLICY beside_own ON history FOR SELECT TO %I
        USING (EXISTS (SELECT FROM invoices i WHERE i.id = history.aggregate)
            OR EXISTS (SELECT FROM credit_notes n WHERE n.id = history.aggregate))', portal);
END $$;
