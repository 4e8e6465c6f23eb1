-- What credit alone pays needs no method: nothing is charged. Whatever is charged does.
ALTER TABLE quotes ALTER COLUMN method_id DROP NOT NULL,
    ADD CHECK (method_id IS NOT NULL OR amount + surcharge = 0) NOT VALID;
ALTER TABLE payments
    ADD CHECK (method_id IS NOT NULL OR way = 'receive' OR amount + surcharge = 0) NOT VALID; -- what is there fits, and is not read
