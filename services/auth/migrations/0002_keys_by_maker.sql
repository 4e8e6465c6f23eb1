-- Whoever revokes a key revokes those that it made.
CREATE INDEX api_keys_by_maker ON api_keys (made_by);
