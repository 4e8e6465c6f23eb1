"""SQL: what must hold in notify. It says no events."""

CHECKS: dict[str, str] = {
    "a mail is not sent and has no task": """
        SELECT m.id::text, concat_ws(' ', m.kind, m.made_at) FROM mails m WHERE m.state = 'queued' AND NOT EXISTS (
            SELECT FROM tasks t WHERE t.queue = CASE WHEN m.at_once THEN 'mails-at-once' ELSE 'mails' END AND t.id = m.id::text)""",
    "a mail was sent and has a task": """
        SELECT m.id::text, m.kind FROM tasks t JOIN mails m ON m.id::text = t.id
        WHERE t.queue IN ('mails', 'mails-at-once') AND m.state = 'sent'""",
}
EMITTED = "SELECT NULL::text AS topic, NULL::text AS aggregate, 0::bigint AS sequence WHERE false"
