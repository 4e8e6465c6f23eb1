-- A try charges no more than its notice said (`announced`; null for tries from before). `left_out` is what a try left of
-- that which could be paid: a further try charges it.
ALTER TABLE autopay_charges ADD COLUMN announced bigint CHECK (announced >= 0), ADD COLUMN left_out bigint CHECK (left_out > 0);
