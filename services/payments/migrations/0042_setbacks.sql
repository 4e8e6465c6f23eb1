-- What a job could not do: it waits until `next_at`, longer after each try, so that it holds up nothing else. The last error
-- is kept. A row goes once its item was done after all.
CREATE TABLE setbacks (
    job text NOT NULL,
    item text NOT NULL,
    tries int NOT NULL CHECK (tries > 0),
    next_at timestamptz NOT NULL,
    error text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (job, item)
);
CREATE INDEX setbacks_due ON setbacks (job, next_at);
