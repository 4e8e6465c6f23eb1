-- Invoices that are paid by themselves, by customer. `held_reason`: until a person switches it on again nothing is charged.
CREATE TABLE autopay (
    customer_id uuid PRIMARY KEY,
    enabled boolean NOT NULL,
    method_id uuid REFERENCES methods (id),
    day text NOT NULL CHECK (day IN ('due', 'issue')),
    surcharge_consent boolean NOT NULL,
    surcharge_rate numeric NOT NULL DEFAULT 0 CHECK (surcharge_rate BETWEEN 0 AND 1),
    enabled_at timestamptz,
    enabled_by text,
    held_reason text,
    held_at timestamptz,
    sequence bigint NOT NULL,
    CHECK (NOT enabled OR (method_id IS NOT NULL AND enabled_at IS NOT NULL)),
    CHECK ((held_reason IS NULL) = (held_at IS NULL))
);
CREATE INDEX autopay_by_method ON autopay (method_id) WHERE enabled;

-- One row for each try to take an invoice's money by itself.
CREATE TABLE autopay_charges (
    id uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES autopay (customer_id),
    invoice_id uuid NOT NULL,
    attempt int NOT NULL CHECK (attempt BETWEEN 1 AND 4),
    first_at timestamptz NOT NULL,
    notice_at timestamptz NOT NULL,
    charge_at timestamptz NOT NULL,
    charge_on date NOT NULL,
    state text NOT NULL CHECK (state IN ('scheduled', 'submitted', 'paid', 'declined', 'skipped')),
    reason text,
    payment_id uuid UNIQUE REFERENCES payments (id),
    UNIQUE (invoice_id, attempt),
    CHECK ((state IN ('submitted', 'paid', 'declined')) = (payment_id IS NOT NULL)),
    CHECK (charge_at >= notice_at + interval '48 hours')
);
CREATE UNIQUE INDEX autopay_charges_open ON autopay_charges (invoice_id) WHERE state IN ('scheduled', 'submitted');
CREATE INDEX autopay_charges_due ON autopay_charges (charge_at) WHERE state = 'scheduled';
CREATE INDEX autopay_charges_under_way ON autopay_charges (payment_id) WHERE state = 'submitted';
CREATE INDEX autopay_charges_of ON autopay_charges (customer_id, charge_at) WHERE state IN ('scheduled', 'submitted');

-- A payer who is there is asked by the card's bank, and comes back to `return_url`: where, and until when. After that the
-- charge is cancelled.
ALTER TABLE payments ADD COLUMN next_action_url text, ADD COLUMN act_by timestamptz, ADD COLUMN return_url text;
CREATE INDEX payments_to_act ON payments (act_by) WHERE act_by IS NOT NULL;
ALTER TABLE attempts ADD COLUMN return_url text;
