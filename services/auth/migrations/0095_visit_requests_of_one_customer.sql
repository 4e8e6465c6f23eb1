-- The portal role could read the requests of every visit: now only those of visits to the customer for whom it reads.
-- The visits in the condition are themselves that customer's alone for this role.
DO $$
BEGIN
    ALTER TABLE visit_requests ENABLE ROW LEVEL SECURITY;
    EXECUTE format('CREATE POLICY all_rows ON visit_requests TO %I, %I USING (true) WITH CHECK (true)',
                   current_user || '_api', current_user || '_work');
    EXECUTE format('CREATE POLICY beside_own ON visit_requests FOR SELECT TO %I
        USING (EXISTS (SELECT FROM visits v WHERE v.id = visit_requests.visit_id))', current_user || '_portal');
END $$;
