-- How many events `CredentialEnded` were said of a key: none of those that were revoked before there was that event.
ALTER TABLE api_keys ADD COLUMN ended bigint NOT NULL DEFAULT 0;
