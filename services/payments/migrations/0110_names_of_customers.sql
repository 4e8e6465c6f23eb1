-- The name that people know a customer by, for proposals. Of customers that were heard of before, it comes with their next change.
ALTER TABLE customers ADD COLUMN name text;
