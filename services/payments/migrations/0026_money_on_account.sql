-- A receipt that pays no invoice by itself: it is kept as the customer's credit, as who recorded it said.
ALTER TABLE payments ADD COLUMN on_account boolean NOT NULL DEFAULT false;
