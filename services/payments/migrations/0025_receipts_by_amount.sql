-- Money that went out is compared with the receipts of its amount: it may be one of them that did not last. Those without a
-- line have an index.
CREATE INDEX payments_banked ON payments (currency, amount, received_on) WHERE way = 'receive' AND bank_line_id IS NOT NULL;
