-- What was told of each invoice, for people who ask why it is as it is; and when a payment under way is to be confirmed.
CREATE TABLE history (
    aggregate uuid NOT NULL,
    sequence bigint NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (aggregate, sequence)
);
ALTER TABLE reservations ADD COLUMN expected_by date;
