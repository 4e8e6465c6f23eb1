-- Each receipt that is voided leaves what it was of its line in an exception of its own: whoever decides about one sees the
-- amount that it has, whatever is voided meanwhile.
ALTER TABLE exceptions ADD COLUMN voided_id uuid REFERENCES payments (id);
DROP INDEX exceptions_open_of_line;
CREATE UNIQUE INDEX exceptions_open_of_line ON exceptions (line_id) WHERE state = 'open' AND voided_id IS NULL;
CREATE UNIQUE INDEX exceptions_of_void ON exceptions (voided_id) WHERE voided_id IS NOT NULL;
