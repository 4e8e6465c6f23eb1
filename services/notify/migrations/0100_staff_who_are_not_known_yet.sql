-- One of the company's people may become known after the exception that was given to them: `staff` is their id or address.
ALTER TABLE unaddressed ALTER COLUMN customer_id DROP NOT NULL, ADD COLUMN staff text;
