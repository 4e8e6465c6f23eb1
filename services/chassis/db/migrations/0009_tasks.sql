-- Outward calls and later jobs: one row each, written in the transaction that makes them needed, gone once done.
-- `due_at` is on the company's clock. `free_at` is real time: until then a process has the task, or it waits after a failure.
CREATE TABLE tasks (
    queue text NOT NULL,
    id text NOT NULL,
    body bytea NOT NULL,
    due_at timestamptz NOT NULL,
    free_at timestamptz NOT NULL DEFAULT '-infinity',
    attempts int NOT NULL DEFAULT 0,
    lease uuid,
    error text,
    set_aside_at timestamptz,
    headers text NOT NULL DEFAULT '{}',
    PRIMARY KEY (queue, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);
CREATE INDEX tasks_due ON tasks (queue, due_at) WHERE set_aside_at IS NULL;
CREATE INDEX tasks_set_aside ON tasks (queue, id) WHERE set_aside_at IS NOT NULL;
