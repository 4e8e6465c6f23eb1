-- How many events were said of an exception: one for each person to whom it was given.
ALTER TABLE exceptions ADD COLUMN announced bigint NOT NULL DEFAULT 0;
