-- A dispute of an invoice or of some of its lines. `lines`: [{"line", "amount"}], amount null: the whole line; no lines: the
-- whole invoice. `amount` is null where only invoicing knows what the lines come to.
CREATE TABLE disputes (
    id uuid PRIMARY KEY,
    ticket_id uuid NOT NULL UNIQUE REFERENCES tickets (id),
    customer_id uuid NOT NULL,
    invoice_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('open', 'under_review', 'accepted', 'rejected', 'withdrawn')),
    category text,
    lines jsonb NOT NULL,
    amount bigint CHECK (amount > 0),
    currency text NOT NULL,
    raised_at timestamptz NOT NULL,
    decided_at timestamptz,
    sequence bigint NOT NULL,
    CHECK ((status IN ('accepted', 'rejected', 'withdrawn')) = (decided_at IS NOT NULL))
);
CREATE INDEX disputes_newest ON disputes (id DESC);
CREATE INDEX disputes_of_customer ON disputes (customer_id, id DESC);
CREATE INDEX disputes_by_status ON disputes (status, id DESC);
CREATE INDEX disputes_of_invoice ON disputes (invoice_id, id DESC);
SELECT protect_by_customer('disputes');
