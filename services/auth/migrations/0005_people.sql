-- Customers' names, from invoicing's events. A contact's session shows whose portal it is.
CREATE TABLE customers (
    id uuid PRIMARY KEY,
    name text
);
SELECT protect_by_customer('customers', 'id');

-- People: contacts of customers, and the company's own. `account`: a keyed hash of the address, by which sign-in finds
-- them, so that the address itself stands in this table alone. `sequence` and `notices` count their events.
CREATE TABLE people (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('contact', 'staff')),
    customer_id uuid,
    role text CHECK (role IN ('account_manager', 'administrator')),
    email text,
    account bytea,
    name text,
    language text NOT NULL,
    enabled boolean NOT NULL,
    created_at timestamptz NOT NULL,
    erased_at timestamptz,
    sequence bigint NOT NULL DEFAULT 1,
    notices bigint NOT NULL DEFAULT 0,
    CHECK ((kind = 'contact') = (customer_id IS NOT NULL)),
    CHECK ((kind = 'staff') = (role IS NOT NULL)),
    CHECK ((erased_at IS NULL) = (email IS NOT NULL)),
    CHECK ((email IS NULL) = (account IS NULL)),
    CHECK (erased_at IS NULL OR (name IS NULL AND NOT enabled))
);
CREATE UNIQUE INDEX contacts_once ON people (customer_id, account) WHERE kind = 'contact' AND erased_at IS NULL;
CREATE UNIQUE INDEX staff_once ON people (account) WHERE kind = 'staff' AND erased_at IS NULL;
CREATE INDEX people_of_account ON people (account) WHERE erased_at IS NULL;
CREATE INDEX people_of_customer ON people (customer_id, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX staff_by_id ON people (id DESC) WHERE kind = 'staff';
SELECT protect_by_customer('people');

-- One password for each address, whichever customers it is a contact of.
CREATE TABLE passwords (
    account bytea PRIMARY KEY,
    hash text NOT NULL,
    set_at timestamptz NOT NULL
);

-- What a mail's link holds, as a keyed hash: invitations, confirmations, resets. `password`: the hash of one that the
-- address has not confirmed yet.
CREATE TABLE mail_tokens (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    purpose text NOT NULL CHECK (purpose IN ('invitation', 'confirmation', 'reset')),
    person_id uuid NOT NULL REFERENCES people (id),
    password text,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX mail_tokens_living ON mail_tokens (person_id, purpose) WHERE ended_at IS NULL;
CREATE INDEX mail_tokens_by_age ON mail_tokens (expires_at);

-- Requests for a code. A row is written for every address, known or not, so that both cost the same; the code comes
-- later, if it does. `browser`: the hash of the cookie of whoever asked. `budget`: whose guesses count together.
CREATE TABLE sign_ins (
    id uuid PRIMARY KEY,
    account bytea NOT NULL,
    browser bytea NOT NULL,
    link_id uuid,
    session_id uuid,
    client bytea NOT NULL,
    budget bytea NOT NULL,
    code bytea,
    token bytea,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    guesses int NOT NULL DEFAULT 0,
    ended_at timestamptz
);
CREATE INDEX sign_ins_of_browser ON sign_ins (browser, made_at DESC) WHERE ended_at IS NULL;
CREATE INDEX sign_ins_of_account ON sign_ins (account, budget, made_at);
CREATE INDEX sign_ins_by_age ON sign_ins (made_at);

-- Wrong guesses of an address: strangers share one budget of a day, each known device has its own.
CREATE TABLE guesses (
    account bytea NOT NULL,
    what text NOT NULL CHECK (what IN ('code', 'password')),
    budget bytea NOT NULL,
    day date NOT NULL,
    count int NOT NULL,
    PRIMARY KEY (account, what, budget, day)
);
CREATE INDEX guesses_by_age ON guesses (day);

-- Tries of one client address that led to nothing, by the hour.
CREATE TABLE failed_tries (
    client bytea NOT NULL,
    hour timestamptz NOT NULL,
    count int NOT NULL,
    PRIMARY KEY (client, hour)
);
CREATE INDEX failed_tries_by_age ON failed_tries (hour);

-- Browsers from which an address has signed in.
CREATE TABLE devices (
    account bytea NOT NULL,
    browser bytea NOT NULL,
    called text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (account, browser)
);

-- `proved_at`: when the person last proved who they are; null while a payer link and its code are all there was.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    person_id uuid NOT NULL REFERENCES people (id),
    customer_id uuid,
    browser bytea NOT NULL,
    device text NOT NULL,
    link_id uuid,
    proved_at timestamptz,
    made_at timestamptz NOT NULL,
    used_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX sessions_living ON sessions (person_id, id DESC) WHERE ended_at IS NULL;
SELECT protect_by_customer('sessions');

DO $$
BEGIN
    EXECUTE format('REVOKE DELETE ON people, sessions FROM %I, %I', current_user || '_api', current_user || '_work');
END $$;
