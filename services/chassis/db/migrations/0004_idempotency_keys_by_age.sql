-- For forgetting old ones, route by route: those of some routes are kept for ever.
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (route, created_at);
