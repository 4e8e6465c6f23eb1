-- Who is mailed: contacts of customers, and the company's own people (without a customer), as auth says.
CREATE TABLE people (
    id uuid PRIMARY KEY,
    customer_id uuid,
    email text NOT NULL,
    name text,
    language text NOT NULL,
    enabled boolean NOT NULL,
    bounced_at timestamptz -- of this address: only what a person asked for is still sent there
);
CREATE INDEX people_of_customer ON people (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX people_by_email ON people (lower(email));

CREATE TABLE company (
    id text PRIMARY KEY,
    name text NOT NULL,
    logo text,
    brand_colour text NOT NULL,
    time_zone text NOT NULL,
    languages text[] NOT NULL,
    reply_address text
);

CREATE TABLE customers (
    id uuid PRIMARY KEY,
    name text NOT NULL
);

-- As far as mails name them.
CREATE TABLE invoices (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    number text NOT NULL,
    status text NOT NULL,
    issued_on date NOT NULL,
    due_on date NOT NULL,
    currency text NOT NULL,
    total bigint NOT NULL,
    payable_now bigint NOT NULL
);

-- `state`: queued has a task; the others are final. `facts` is the body of the event, without names or addresses.
-- `sealed` is what only notify can read, and only until the mail is final. `address` is where it went.
CREATE TABLE mails (
    id uuid PRIMARY KEY,
    place bigint GENERATED ALWAYS AS IDENTITY,
    cause text NOT NULL,
    person_id uuid NOT NULL,
    customer_id uuid,
    kind text NOT NULL,
    at_once boolean NOT NULL,
    facts jsonb NOT NULL,
    sealed text,
    expires_at timestamptz,
    state text NOT NULL CHECK (state IN ('queued', 'sent', 'failed', 'bounced', 'suppressed', 'cancelled')),
    reason text,
    message_id text NOT NULL,
    attempts int NOT NULL DEFAULT 0,
    resends int NOT NULL DEFAULT 0,
    made_at timestamptz NOT NULL,
    sent_at timestamptz,
    address text,
    language text,
    subject text,
    UNIQUE (cause, person_id),
    CHECK (state <> 'sent' OR sent_at IS NOT NULL),
    CHECK (state = 'queued' OR sealed IS NULL)
);
CREATE INDEX mails_of_customer ON mails (customer_id, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX mails_of_customer_by_state ON mails (customer_id, state, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX mails_by_state ON mails (state, id DESC);
CREATE INDEX mails_of_person ON mails (person_id);
CREATE INDEX mails_in_turn ON mails (person_id, at_once, place) WHERE state = 'queued';
CREATE INDEX mails_by_message ON mails (message_id);

-- What a contact does not want: one row for each group of mails that is switched off.
CREATE TABLE unwanted (
    person_id uuid NOT NULL,
    mail_group text NOT NULL,
    customer_id uuid,
    since timestamptz NOT NULL,
    PRIMARY KEY (person_id, mail_group)
);

SELECT protect_by_customer(name) FROM unnest(ARRAY['people', 'invoices', 'mails', 'unwanted']) AS name;
SELECT protect_by_customer('customers', 'id');
