-- A payment that autopay makes names its charge: no charge makes two payments, whoever takes it. Those from before had
-- a key of their own, and their charges are not scheduled any more.
ALTER TABLE payments ADD COLUMN autopay_charge_id uuid REFERENCES autopay_charges (id);
CREATE UNIQUE INDEX payments_of_autopay_charges ON payments (autopay_charge_id) WHERE autopay_charge_id IS NOT NULL;
