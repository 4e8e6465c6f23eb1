-- Receipts that may have been paid into the bank together are looked for by their days.
CREATE INDEX payments_recorded_of_day ON payments (currency, received_on)
    WHERE way = 'receive' AND bank_line_id IS NULL AND going_back = 0;
