"""What auth says of itself how many events it has told: topic, id, sequence."""

TOLD = "SELECT 'auth.key.v1' AS topic, id::text AS aggregate, sequence FROM api_keys"
