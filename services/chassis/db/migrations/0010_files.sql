-- A service that keeps files calls this once: `SELECT keep_files();`. The bytes lie elsewhere, under `place`.
--
-- arriving  its bytes are being written      scanning  nobody but its sender sees it      ready
-- infected  a virus was found: no bytes      going     it was never attached: its bytes are being deleted
--
-- `customer_id`: null while what the company sent is attached to nothing. `internal`: only the company sees it.
CREATE FUNCTION keep_files() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CREATE TABLE files (
        id uuid PRIMARY KEY,
        customer_id uuid,
        uploaded_by text NOT NULL,
        name text NOT NULL,
        type text NOT NULL,
        size bigint NOT NULL CHECK (size > 0),
        sha256 bytea NOT NULL,
        place text NOT NULL UNIQUE,
        state text NOT NULL CHECK (state IN ('arriving', 'scanning', 'ready', 'infected', 'going')),
        uploaded_at timestamptz NOT NULL,
        attached_at timestamptz,
        internal boolean NOT NULL DEFAULT false,
        CHECK (attached_at IS NULL OR customer_id IS NOT NULL)
    );
    CREATE INDEX files_waiting ON files (uploaded_by) WHERE attached_at IS NULL;
    CREATE INDEX files_never_attached ON files (uploaded_at) WHERE attached_at IS NULL;
    PERFORM protect_by_customer('files');
    EXECUTE format('CREATE POLICY not_internal ON files AS RESTRICTIVE FOR SELECT TO %I
                    USING (NOT internal OR current_user <> %L)', current_user || '_portal', current_user || '_portal');
END $$;
