-- Texts that the company's people put into replies. No contact sees them here. `title_key`: the title as it is compared.
CREATE TABLE saved_replies (
    id uuid PRIMARY KEY,
    title text NOT NULL,
    title_key text NOT NULL UNIQUE,
    text text NOT NULL,
    changed_at timestamptz NOT NULL
);
