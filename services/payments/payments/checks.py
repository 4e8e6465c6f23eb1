"""SQL: what must hold in the tables of payments. Each statement lists the rows that break it: an id, and the details."""

CHECKS = {
    "a ledger transaction does not sum to zero": """
        SELECT transaction_id::text, currency || ' ' || sum(amount) FROM ledger_entries GROUP BY transaction_id, currency
        HAVING sum(amount) <> 0""",
    "a payment and its ledger transaction don't agree": """
        SELECT p.id::text, format('%s, total %s, booked %s', p.reconciliation, p.amount + p.surcharge, l.sum) FROM payments p
        LEFT JOIN (SELECT t.payment_id, sum(e.amount) FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
            WHERE t.kind IN ('charge', 'receipt') AND e.amount > 0 GROUP BY 1) l ON l.payment_id = p.id
        WHERE CASE WHEN p.reconciliation = 'matched' THEN p.amount + p.surcharge ELSE 0 END <> coalesce(l.sum, 0)""",
    "a reversal and its payment don't agree": """
        SELECT p.id::text, format('reversed %s, booked %s', p.reversed, l.sum) FROM payments p
        LEFT JOIN (SELECT t.payment_id, sum(CASE t.kind WHEN 'reversal' THEN e.amount ELSE -e.amount END) AS sum
            FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
            WHERE t.kind IN ('reversal', 'refund_failed') AND e.amount > 0 GROUP BY 1) l ON l.payment_id = p.id
        WHERE p.reversed <> coalesce(l.sum, 0)""",
    "a payout was paid and its money is not booked": """
        SELECT provider_id, amount || ' ' || currency FROM payouts WHERE state = 'paid' AND NOT booked""",
    "a payment's amounts are not the sums of its reversals": """
        SELECT p.id::text, format('reversed %s of %s, going back %s of %s, disputed %s of %s', p.reversed, r.gone, p.going_back,
            r.going, p.disputed, r.held)
        FROM payments p LEFT JOIN (SELECT payment_id, sum(amount + surcharge) FILTER (WHERE state = 'succeeded') AS gone,
            sum(amount + surcharge) FILTER (WHERE state NOT IN ('failed', 'won')) AS going,
            sum(amount + surcharge) FILTER (WHERE state = 'open') AS held FROM reversals GROUP BY 1) r ON r.payment_id = p.id
        WHERE (p.reversed, p.going_back, p.disputed) <> (coalesce(r.gone, 0), coalesce(r.going, 0), coalesce(r.held, 0))""",
    "disputed money in the ledger is not what open chargebacks hold": """
        SELECT p.id::text, format('disputed %s, booked %s', p.disputed, l.sum) FROM payments p
        LEFT JOIN (SELECT t.payment_id, sum(e.amount) FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
            WHERE e.account = 'disputed' GROUP BY 1) l ON l.payment_id = p.id WHERE p.disputed <> coalesce(l.sum, 0)""",
    "a refund is on its way and nothing asks what became of it": """
        SELECT r.id::text, r.state FROM reversals r JOIN payments p ON p.id = r.payment_id
        WHERE r.state = 'processing' AND p.next_poll_at IS NULL""",
    "a refund was requested and nothing calls the provider": """
        SELECT id::text, 'since ' || created_at FROM reversals r WHERE state = 'requested'
        AND NOT EXISTS (SELECT FROM tasks t WHERE t.queue = 'call-refunds' AND t.id = r.id::text)""",
    "a payment is neither final nor has anything to wait for": """
        SELECT id::text, status FROM payments p WHERE status NOT IN ('succeeded', 'declined', 'cancelled', 'expired')
        AND next_poll_at IS NULL
        AND NOT EXISTS (SELECT FROM attempts a WHERE a.payment_id = p.id AND a.state = 'begun')""",
    "an invoice was charged by itself twice": """
        SELECT c.invoice_id::text, count(*)::text FROM autopay_charges c JOIN payments p ON p.id = c.payment_id
        WHERE p.status NOT IN ('declined', 'cancelled', 'expired') AND c.reason IS DISTINCT FROM 'part_held'
        GROUP BY 1 HAVING count(*) > 1""",
    "an invoice was charged by itself with more than announced": """
        SELECT c.id::text, format('%s of %s', p.amount, c.announced) FROM autopay_charges c JOIN payments p ON p.id = c.payment_id
        WHERE p.amount > c.announced""",
    "a surcharge was charged without consent": """
        SELECT p.id::text, format('surcharge %s', p.surcharge) FROM payments p
        WHERE p.surcharge > 0 AND p.status NOT IN ('cancelled') AND p.created_at > (SELECT min(taken_at) FROM surcharge_editions)
        AND NOT EXISTS (SELECT FROM consents c WHERE c.payment_id = p.id AND c.given AND c.surcharge >= p.surcharge)""",
    "a bank file's counts are not those of its lines": """
        SELECT statement_id::text, format('%s %s, counted %s', l.n, state, c.n)
        FROM (SELECT statement_id, state, count(*) AS n FROM bank_lines WHERE state <> 'new' GROUP BY 1, 2) l
        FULL JOIN (SELECT * FROM bank_line_counts WHERE n <> 0) c USING (statement_id, state) WHERE l.n IS DISTINCT FROM c.n""",
    "more is posted of a bank's line, or waits, than it brought": """
        SELECT l.id::text, format('brought %s, posted %s, waits %s', l.amount, p.sum, coalesce(e.sum, 0))
        FROM (SELECT bank_line_id, sum(amount) AS sum FROM payments WHERE bank_line_id IS NOT NULL GROUP BY 1) p
        JOIN bank_lines l ON l.id = p.bank_line_id
        LEFT JOIN (SELECT line_id, sum(amount) AS sum FROM exceptions WHERE state = 'open' AND voided_id IS NOT NULL GROUP BY 1) e
            ON e.line_id = l.id
        WHERE p.sum + coalesce(e.sum, 0) > l.amount""",
    "what went back of credit is not what its payments have": """
        SELECT id::text, format('payment %s, uses %s', kept.sum, went.sum)
        FROM (SELECT id, (SELECT sum(a) FROM unnest(credit_gone_amounts) AS a) AS sum FROM payments WHERE credit_used > 0) kept
        FULL JOIN (SELECT payment_id AS id, sum(gone) FROM credit_uses GROUP BY 1) went USING (id)
        WHERE coalesce(kept.sum, 0) <> coalesce(went.sum, 0)""",
    "a payment's parts and credit are not its amount": """
        SELECT id::text, format('amount %s, parts %s, credit %s', amount, allocated_amounts, credit) FROM payments
        WHERE reconciliation = 'matched' AND amount - (reversed - reversed_surcharge) <> credit + coalesce((SELECT sum(a) FROM unnest(allocated_amounts) AS a), 0)""",
}

# How many events each aggregate has emitted: topic, id, sequence.
EMITTED = """
    SELECT 'payments.payment.v1' AS topic, id::text AS aggregate, sequence FROM payments
    UNION ALL SELECT 'payments.method.v1', id::text, sequence FROM methods
    UNION ALL SELECT 'payments.exception.v1', id::text, announced FROM exceptions WHERE announced > 0
    UNION ALL SELECT 'payments.autopay.v1', customer_id::text, sequence FROM autopay WHERE sequence > 0"""
