-- Mails that became replies, so that one that a mail server sends again counts once, and so that too many within an hour
-- are seen. `digest`: of the Message-ID. Kept for 30 days; no server tries that long.
CREATE TABLE mails_taken (
    ticket_id uuid NOT NULL REFERENCES tickets (id),
    digest text NOT NULL,
    person_id uuid NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (ticket_id, digest)
);
CREATE INDEX mails_taken_by ON mails_taken (ticket_id, person_id, at);
CREATE INDEX mails_taken_at ON mails_taken (at);
