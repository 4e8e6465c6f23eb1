-- Setups are looked at, and removed methods are forgotten at the provider, by tasks. Those that wait now become tasks.
INSERT INTO tasks (queue, id, body, due_at)
SELECT 'look-at-setups', id::text, convert_to(json_build_object('since', created_at)::text, 'UTF8'), created_at
FROM method_setups WHERE state = 'open';
INSERT INTO tasks (queue, id, body, due_at)
SELECT 'detach-methods', id::text, '{}', removed_at FROM methods WHERE detach_after IS NOT NULL;
DROP INDEX method_setups_to_look;
DROP INDEX methods_to_detach;
ALTER TABLE method_setups DROP COLUMN look_after, DROP COLUMN looks;
ALTER TABLE methods DROP COLUMN detach_after, DROP COLUMN detach_calls;
