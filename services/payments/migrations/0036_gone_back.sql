-- What a payment paid of invoices before it went back, as invoicing tells it from now on; null where nothing has. `allocated_…` is what it
-- pays now.
ALTER TABLE payments ADD COLUMN gone_invoices uuid[], ADD COLUMN gone_amounts bigint[];
