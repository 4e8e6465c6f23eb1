-- What was heard about invoices and their payments that changes no amount of an invoice, for people who ask why.
CREATE TABLE heard (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    about uuid NOT NULL, -- an invoice, a payment, or (of autopay) a customer
    at timestamptz NOT NULL,
    type text NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX heard_about ON heard (about, id);
