-- The files of banks, the newest first.
CREATE INDEX bank_statements_newest ON bank_statements (received_at DESC, id DESC);
