-- What a customer is called, of small letters and digits alone: a payer of that name may be it. Of customers that were there before,
-- it is known once they change.
ALTER TABLE customers ADD COLUMN called text;
CREATE INDEX customers_by_name ON customers (called) WHERE called IS NOT NULL;

-- Cheques that people recorded, by whose they are: a line that names an invoice may give one back.
CREATE INDEX payments_recorded_of_customer ON payments (customer_id, currency, amount)
    WHERE way = 'receive' AND bank_line_id IS NULL;
