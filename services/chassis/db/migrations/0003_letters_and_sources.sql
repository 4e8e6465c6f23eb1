-- `seen`: what a replay found handled already.
ALTER TABLE dead_letters DROP CONSTRAINT dead_letters_state_check,
    ADD CONSTRAINT dead_letters_state_check CHECK (state IN ('waiting', 'replayed', 'seen', 'skipped', 'unreadable'));

-- An id is unique among what one source sends. Without a source it stands for itself.
ALTER TABLE seen_commands ADD COLUMN source text NOT NULL DEFAULT '',
    DROP CONSTRAINT seen_commands_pkey, ADD PRIMARY KEY (id, source, consumer);
