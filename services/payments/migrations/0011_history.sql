-- What was told of each payment, for people who ask why it is as it is.
CREATE TABLE history (
    aggregate uuid NOT NULL,
    sequence bigint NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (aggregate, sequence)
);
