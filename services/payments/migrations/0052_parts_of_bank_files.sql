-- One file of several in a ZIP, or a statement that a file holds again: what one part repeats of another counts once.
ALTER TABLE bank_lines ADD COLUMN part int NOT NULL DEFAULT 1;
