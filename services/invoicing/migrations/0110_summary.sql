-- The summary of a customer: sums of its open invoices from the index alone, however many they are.
DROP INDEX invoices_open_newest;
CREATE INDEX invoices_open_newest ON invoices (customer_id, issued_on DESC, id DESC)
    INCLUDE (currency, due_on, total, credited, settled, pending) WHERE state = 'open';

-- The day on which the money of a settlement came: `effective_on` moves on when its credit is applied.
ALTER TABLE settlements ADD COLUMN came_on date;
UPDATE settlements SET came_on = effective_on;
ALTER TABLE settlements ALTER COLUMN came_on SET NOT NULL;
CREATE INDEX settlements_newest ON settlements (customer_id, came_on DESC, payment_id DESC) WHERE NOT reversed;

-- Payments under way of a customer: by when each is to be confirmed.
CREATE INDEX reservations_placed ON reservations (customer_id) WHERE state = 'placed';
