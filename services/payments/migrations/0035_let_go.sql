-- Who gave a payment up that waits for the payer's bank. Its charge is cancelled at once, by the mark that its time is over.
ALTER TABLE payments ADD COLUMN let_go_by text;
