-- The number of a payment that people read out stands for the last twelve digits of its id: rarely, two may share one.
CREATE INDEX payments_by_number ON payments (right(id::text, 12));
-- What whoever asked for a payment wants to find on it again; it is told to nobody else.
ALTER TABLE payments ADD COLUMN metadata jsonb CHECK (jsonb_typeof(metadata) = 'object');
