-- A receipt that was recorded in error is voided; the bank's line that brought its money waits for a person again, in an
-- exception of its own.
ALTER TABLE reversals DROP CONSTRAINT reversals_kind_check,
    ADD CHECK (kind IN ('refund', 'return', 'chargeback', 'void'));
ALTER TABLE exceptions DROP CONSTRAINT exceptions_line_id_key;
CREATE INDEX exceptions_of_line ON exceptions (line_id) WHERE line_id IS NOT NULL;
CREATE UNIQUE INDEX exceptions_open_of_line ON exceptions (line_id) WHERE state = 'open';
