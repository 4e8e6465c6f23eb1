-- A card's last month is known from when payments began to say it.
CREATE TABLE methods (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    kind text NOT NULL,
    is_default boolean NOT NULL,
    usable boolean NOT NULL,
    last_day date,
    warned_of date -- the last day of which its customer was warned
);
CREATE INDEX methods_that_expire ON methods (last_day) WHERE usable AND last_day IS NOT NULL AND warned_of IS DISTINCT FROM last_day;

-- The contact who confirmed a payment, so that what becomes of it is mailed to that one.
CREATE TABLE payers (
    payment_id uuid PRIMARY KEY,
    customer_id uuid NOT NULL,
    contact_id uuid NOT NULL
);
CREATE INDEX payers_by_contact ON payers (contact_id);

SELECT protect_by_customer(name) FROM unnest(ARRAY['methods', 'payers']) AS name;
