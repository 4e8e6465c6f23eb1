-- What disputes hold of an invoice: autopay leaves `held` out through `held_until`, after that `disputed`.
ALTER TABLE invoices ADD COLUMN disputed bigint NOT NULL DEFAULT 0, ADD COLUMN held bigint NOT NULL DEFAULT 0, ADD COLUMN held_until date;
