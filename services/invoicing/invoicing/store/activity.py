"""What happened lately at a customer: invoices issued, payments confirmed, and what of them went back."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.db.reads import Reads

SHOWN = 10
# One payment that goes back may reverse many invoices: so many rows are looked at, however many there are.
LOOKED_AT = 300
ACTIVITY = f"""
SELECT code, happened_on AS on, invoice_id, payment_id, number, due_on, amount AS amount_minor, currency FROM (
    (SELECT 'invoice_issued' AS code, issued_on AS happened_on, id AS invoice_id, NULL::uuid AS payment_id, number, due_on,
        total AS amount, currency
    FROM invoices WHERE customer_id = $1 AND state NOT IN ('draft', 'void') AND issued_on <= $2
    ORDER BY issued_on DESC, id DESC LIMIT {SHOWN})
    UNION ALL
    (SELECT 'payment_confirmed', came_on, NULL, payment_id, NULL, NULL, came, currency
    FROM settlements
    CROSS JOIN LATERAL (SELECT credit + coalesce(sum(minor), 0)::bigint AS came FROM unnest(amounts) AS a (minor)) c
    WHERE customer_id = $1 AND NOT reversed AND came > 0 ORDER BY came_on DESC, payment_id DESC LIMIT {SHOWN})
    UNION ALL
    (SELECT 'payment_returned', effective_on, NULL, payment_id, NULL, NULL, sum(amount)::bigint, currency
    FROM (SELECT effective_on, payment_id, amount, currency FROM entries
        WHERE customer_id = $1 AND kind = 'reverse' ORDER BY id DESC LIMIT {LOOKED_AT}) r
    GROUP BY payment_id, effective_on, currency ORDER BY effective_on DESC, payment_id DESC LIMIT {SHOWN})
) happened ORDER BY happened_on DESC, coalesce(invoice_id, payment_id) DESC LIMIT {SHOWN}
"""  # noqa: S608


async def load_activity(connection: Reads, customer_id: str, today: date) -> list[dict[str, Any]]:
    """The newest first."""
    return [dict(row) for row in await connection.fetch(ACTIVITY, customer_id, today)]
