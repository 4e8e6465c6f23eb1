-- Who of an address signs in: whoever did so last.
CREATE INDEX sessions_of_person ON sessions (person_id, id DESC);
CREATE INDEX sign_ins_of_client ON sign_ins (account, client, made_at) WHERE code IS NOT NULL;
