"""Credit notes, as lists show them."""

from __future__ import annotations

from typing import Any

from chassis.db.reads import Reads

NEWEST = """
SELECT n.id, n.number, n.issued_on, n.invoice_id, i.number AS invoice_number, n.dispute_id, n.currency, n.amount AS amount_minor,
    n.applied AS applied_minor, coalesce(c.balance, 0) AS balance_minor
FROM credit_notes n JOIN invoices i ON i.id = n.invoice_id LEFT JOIN credits c ON c.payment_id = n.id
WHERE n.customer_id = $1 AND n.id < $2 ORDER BY n.id DESC LIMIT $3
"""
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


async def list_credit_notes(
    connection: Reads, customer_id: str, before: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest first, from before this id on."""
    return [dict(row) for row in await connection.fetch(NEWEST, customer_id, before or LAST_ID, limit)]
