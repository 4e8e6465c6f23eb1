-- Disputes of invoices, as support's events say, and their credit notes. `waits`: accepted, but money under way may still pay
-- what was disputed. `held_until`: after a rejection, the last day on which reminders and autopay wait.
CREATE TABLE disputes (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    amount bigint NOT NULL CHECK (amount >= 0),
    state text NOT NULL CHECK (state IN ('open', 'waits', 'accepted', 'rejected', 'withdrawn')),
    held_until date CHECK (held_until IS NULL OR state = 'rejected')
);
CREATE INDEX disputes_of_invoice ON disputes (invoice_id);

-- A credit note of a dispute: `applied` paid its own invoice when it was issued, the rest is a row of `credits` whose
-- `payment_id` is the note's id. Entries of kind `credit` name the note in the same way.
CREATE TABLE credit_notes (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    number text NOT NULL UNIQUE,
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    dispute_id uuid NOT NULL UNIQUE REFERENCES disputes (id),
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    applied bigint NOT NULL CHECK (applied >= 0 AND applied <= amount),
    issued_on date NOT NULL
);
CREATE INDEX credit_notes_of_invoice ON credit_notes (invoice_id);
CREATE INDEX credit_notes_newest ON credit_notes (customer_id, id DESC);

-- Numbers without gaps: the row is locked where a note may be issued.
CREATE TABLE credit_note_number (last bigint NOT NULL);
INSERT INTO credit_note_number (last) VALUES (1000);

-- What undecided disputes of an invoice are about, and what rejected ones were about, held through `held_until`.
ALTER TABLE invoices ADD COLUMN in_dispute bigint NOT NULL DEFAULT 0 CHECK (in_dispute >= 0),
    ADD COLUMN resting bigint NOT NULL DEFAULT 0 CHECK (resting >= 0), ADD COLUMN held_until date;
DROP INDEX invoices_open_newest;
CREATE INDEX invoices_open_newest ON invoices (customer_id, issued_on DESC, id DESC)
    INCLUDE (currency, due_on, total, credited, settled, pending, in_dispute) WHERE state = 'open';

SELECT protect_by_customer('disputes');
SELECT protect_by_customer('credit_notes');
DO $$
BEGIN
    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON credit_notes FROM %I, %I', current_user || '_api', current_user || '_work');
END $$;
