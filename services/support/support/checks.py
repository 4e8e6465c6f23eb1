"""SQL: what must hold in the tables of support. Each statement lists the rows that break it: an id, and the details."""

CHECKS: dict[str, str] = {
    "a ticket's status is not the one after its last event": """
        SELECT t.id::text, format('%s, last event %s', t.status, e.status) FROM tickets t
        LEFT JOIN ticket_events e ON e.ticket_id = t.id AND e.place = t.entries WHERE e.status IS DISTINCT FROM t.status""",
    "a ticket's events have a gap": """
        SELECT t.id::text, format('counts %s, has %s', t.entries, e.n) FROM tickets t
        LEFT JOIN (SELECT ticket_id, count(*) AS n FROM ticket_events GROUP BY 1) e ON e.ticket_id = t.id
        WHERE e.n IS DISTINCT FROM t.entries""",
    "an event is of another customer than its ticket": """
        SELECT t.id::text, e.place::text FROM tickets t JOIN ticket_events e ON e.ticket_id = t.id
        WHERE e.customer_id <> t.customer_id""",
    "a ticket of a dispute has none, or another one has": """
        SELECT t.id::text, t.kind FROM tickets t LEFT JOIN disputes d ON d.ticket_id = t.id
        WHERE (t.kind = 'dispute') <> (d.id IS NOT NULL)""",
    "a ticket ended before its dispute was decided": """
        SELECT t.id::text, d.status FROM tickets t JOIN disputes d ON d.ticket_id = t.id
        WHERE d.decided_at IS NULL AND t.ended_at IS NOT NULL""",
    "a merged ticket leads to none that can be written in": """
        SELECT t.id::text, format('merged into %s', t.merged_into) FROM tickets t JOIN tickets m ON m.id = t.merged_into
        WHERE m.merged_into IS NOT NULL OR m.customer_id <> t.customer_id OR 'dispute' IN (t.kind, m.kind)""",
    "a ticket is merged and its last event is another one, or the other way round": """
        SELECT t.id::text, e.what FROM tickets t JOIN ticket_events e ON e.ticket_id = t.id AND e.place = t.entries
        WHERE (t.merged_into IS NOT NULL) <> (e.what = 'merged')""",
    "a credit note is not what its dispute is about": """
        SELECT d.id::text, format('dispute %s, credit note %s', d.amount, d.note_amount) FROM disputes d WHERE d.note_amount > d.amount""",
    "an event has a file that is not attached to it alone": """
        SELECT e.ticket_id::text, one::text FROM ticket_events e CROSS JOIN unnest(e.files) AS one
        LEFT JOIN files f ON f.id = one AND f.attached_at IS NOT NULL GROUP BY 1, 2 HAVING count(f.id) <> 1""",
    "a file is seen by others than its event": """
        SELECT f.id::text, e.ticket_id::text FROM ticket_events e CROSS JOIN unnest(e.files) AS one JOIN files f ON f.id = one
        WHERE f.customer_id IS DISTINCT FROM e.customer_id OR f.internal <> e.internal""",
    "an attached file is of no event": """
        SELECT f.id::text, f.attached_at::text FROM files f WHERE f.attached_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM ticket_events e WHERE f.id = ANY(e.files))""",
    "a solved ticket has no task that closes it": """
        SELECT t.id::text, 'since ' || t.ended_at FROM tickets t WHERE t.status = 'solved'
        AND NOT EXISTS (SELECT FROM tasks k WHERE k.queue = 'close-solved-tickets' AND k.id = t.id::text)""",
}

# How many events each aggregate has emitted: topic, id, sequence.
EMITTED = """
    SELECT 'support.ticket.v1' AS topic, id::text AS aggregate, sequence FROM tickets
    UNION ALL SELECT 'support.notice.v1', id::text, notices FROM tickets WHERE notices > 0
    UNION ALL SELECT 'support.dispute.v1', id::text, sequence FROM disputes"""
