"""What must hold in invoicing's tables. Each statement lists what does not: an id, and what about it."""

CHECKS = {
    "an invoice's balance is not the sum of its entries": """
        SELECT i.id::text, format('balance %s, entries %s', CASE WHEN state = 'void' THEN 0 ELSE total - credited - settled END, e.sum)
        FROM invoices i LEFT JOIN (SELECT invoice_id, sum(amount) FROM entries GROUP BY 1) e ON e.invoice_id = i.id
        WHERE state <> 'draft' AND coalesce(e.sum, 0) <> CASE WHEN state = 'void' THEN 0 ELSE total - credited - settled END""",
    "an invoice's settled amount is not what its entries settled": """
        SELECT i.id::text, format('settled %s, entries %s', settled, e.sum) FROM invoices i LEFT JOIN (
            SELECT invoice_id, -sum(amount) AS sum FROM entries WHERE kind IN ('settle', 'reverse') GROUP BY 1
        ) e ON e.invoice_id = i.id WHERE settled <> coalesce(e.sum, 0)""",
    "an invoice's credited amount is not what its entries credited": """
        SELECT i.id::text, format('credited %s, entries %s', credited, e.sum) FROM invoices i LEFT JOIN (
            SELECT invoice_id, -sum(amount) AS sum FROM entries WHERE kind = 'credit' GROUP BY 1
        ) e ON e.invoice_id = i.id WHERE credited <> coalesce(e.sum, 0)""",
    "what credit notes paid and left is not their amount": """
        SELECT n.id::text, format('amount %s, paid %s, left %s', n.amount, e.sum, c.balance) FROM credit_notes n
        LEFT JOIN (SELECT payment_id, -sum(amount) AS sum FROM entries WHERE kind = 'credit' GROUP BY 1) e ON e.payment_id = n.id
        LEFT JOIN credits c ON c.payment_id = n.id WHERE n.amount <> coalesce(e.sum, 0) + coalesce(c.balance, 0)""",
    "credit notes come to more than their invoice": """
        SELECT i.id::text, format('total %s, credit notes %s', i.total, n.sum) FROM invoices i
        JOIN (SELECT invoice_id, sum(amount) FROM credit_notes GROUP BY 1) n ON n.invoice_id = i.id WHERE n.sum > i.total""",
    "a void invoice has a credit note": """
        SELECT i.id::text, format('credit note %s', n.number) FROM credit_notes n
        JOIN invoices i ON i.id = n.invoice_id WHERE i.state = 'void'""",
    "an accepted dispute has no credit note, or another dispute has one": """
        SELECT d.id::text, format('%s, amount %s, credit note %s', d.state, d.amount, n.amount) FROM disputes d
        JOIN invoices i ON i.id = d.invoice_id LEFT JOIN credit_notes n ON n.dispute_id = d.id
        LEFT JOIN (SELECT invoice_id, sum(amount) FROM credit_notes GROUP BY 1) s ON s.invoice_id = d.invoice_id
        WHERE n.amount > d.amount OR (n.id IS NOT NULL AND d.state <> 'accepted')
            OR (d.state = 'accepted' AND i.state <> 'void' AND d.amount > coalesce(n.amount, 0) AND coalesce(s.sum, 0) < i.total)""",
    "what is in dispute of an invoice is not the sum of its disputes": """
        SELECT i.id::text, format('in dispute %s, disputes %s', in_dispute, d.sum) FROM invoices i
        LEFT JOIN (SELECT invoice_id, sum(amount) FROM disputes WHERE state IN ('open', 'waits') GROUP BY 1) d ON d.invoice_id = i.id
        WHERE in_dispute <> coalesce(d.sum, 0)""",
    "an invoice's pending amount is not what reservations hold": """
        SELECT i.id::text, format('pending %s, reserved %s', pending, coalesce(r.sum, 0)) FROM invoices i LEFT JOIN (
            SELECT id, sum(amount) FROM reservations, unnest(invoice_ids, amounts) AS p (id, amount) WHERE state = 'placed' GROUP BY 1
        ) r ON r.id = i.id WHERE pending <> coalesce(r.sum, 0)""",
    "what payments under way hold of a credit is not what reservations say": """
        SELECT c.id::text, format('pending %s, reserved %s', pending, coalesce(r.sum, 0)) FROM credits c LEFT JOIN (
            SELECT id, sum(amount) FROM reservations, unnest(credit_ids, credit_amounts) AS p (id, amount) WHERE state = 'placed' GROUP BY 1
        ) r ON r.id = c.payment_id WHERE pending <> coalesce(r.sum, 0)""",
    "a credit's balance is not the sum of its entries": """
        SELECT c.id::text, format('balance %s, entries %s', balance, e.sum) FROM credits c
        LEFT JOIN (SELECT credit_id, sum(amount) FROM credit_entries GROUP BY 1) e ON e.credit_id = c.id
        WHERE balance <> coalesce(e.sum, 0)""",
    "what a customer owes by day is not the sum of the entries": """
        SELECT customer_id::text, format('%s due %s, effective %s: %s, entries %s', currency, due_on, effective_on, o.amount, e.sum)
        FROM owed_by_day o FULL JOIN (SELECT customer_id, effective_on, currency, due_on, sum(amount) FROM entries GROUP BY 1, 2, 3, 4) e
        USING (customer_id, effective_on, currency, due_on) WHERE coalesce(o.amount, 0) <> coalesce(e.sum, 0)""",
}

# How many events each aggregate has emitted: topic, id, sequence.
EMITTED = """
    SELECT 'invoicing.invoice.v1' AS topic, id::text AS aggregate, sequence FROM invoices WHERE sequence > 0
    UNION ALL SELECT 'invoicing.customer.v1', id::text, sequence FROM customers
    UNION ALL SELECT 'invoicing.reservation.v1', payment_id::text, sequence FROM reservations
    UNION ALL SELECT 'invoicing.settlement.v1', payment_id::text, sequence FROM settlements
    UNION ALL SELECT 'invoicing.credit.v1', id::text, sequence FROM credits c
        WHERE NOT EXISTS (SELECT FROM credit_notes n WHERE n.id = c.payment_id)
    UNION ALL SELECT 'invoicing.credit-note.v1', n.id::text, coalesce(c.sequence, 1) FROM credit_notes n
        LEFT JOIN credits c ON c.payment_id = n.id"""
