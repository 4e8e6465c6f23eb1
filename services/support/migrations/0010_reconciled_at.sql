-- When the payment reconciled; null once anything else happened to it. A ticket that is opened a moment later is closed as
-- it would have been a moment before.
ALTER TABLE payments ADD COLUMN reconciled_at timestamptz;
