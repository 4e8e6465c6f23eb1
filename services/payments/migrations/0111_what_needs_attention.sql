-- What a customer's Home shows first: payments that the provider has not confirmed, and money that banks took back lately.
CREATE INDEX payments_unconfirmed_of_customer ON payments (customer_id, expected_by)
    WHERE reconciliation IN ('waiting', 'mismatch', 'exception');
CREATE INDEX reversals_by_banks_of_customer ON reversals (customer_id, created_at) WHERE kind IN ('return', 'chargeback');
