-- What a quote was asked for: named invoices, all of a currency, or an amount that goes to the oldest first. A quote that no
-- longer fits is made again from it.
ALTER TABLE quotes ADD COLUMN choice text NOT NULL DEFAULT 'invoices' CHECK (choice IN ('invoices', 'all', 'amount'));
