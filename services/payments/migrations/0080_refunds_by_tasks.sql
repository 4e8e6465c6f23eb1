-- Refunds are asked for at the provider by tasks. Those that are not answered when this runs become tasks.
INSERT INTO tasks (queue, id, body, due_at, headers)
SELECT 'call-refunds', r.id::text, '{}', r.created_at, json_strip_nulls(json_build_object('correlation', p.correlation))::text
FROM reversals r JOIN payments p ON p.id = r.payment_id WHERE r.state = 'requested';
DROP INDEX reversals_to_call;
ALTER TABLE reversals DROP COLUMN call_after, DROP COLUMN calls;
