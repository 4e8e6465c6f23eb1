-- The history of all customers, newest first.
CREATE INDEX payments_newest_of_all ON payments (created_at DESC, id DESC);
