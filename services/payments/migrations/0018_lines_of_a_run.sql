-- The lines of a file by what became of them, those that are still to be taken among them.
DROP INDEX bank_lines_new, bank_lines_of_statement;
CREATE INDEX bank_lines_of_statement ON bank_lines (statement_id, state, id);
