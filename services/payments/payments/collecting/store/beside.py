"""What stands beside payments: numbers of their invoices, and what people know their methods by."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.db.reads import Reads
from payments.collecting.domain.payments import Payment

BESIDE = """
SELECT id, number, NULL AS kind, NULL AS brand, NULL AS last4 FROM invoices WHERE id = ANY($1::uuid[])
UNION ALL SELECT id, NULL, kind, brand, last4 FROM methods WHERE id = ANY($2::uuid[])
"""


async def load_beside(
    connection: Reads, payments: Sequence[Payment]
) -> tuple[dict[str, str], dict[str, dict[str, str | None]]]:
    """Numbers of the payments' invoices, and their methods (kind, brand, last4), each by id, in one round trip."""
    parts = {
        part.invoice_id for each in payments for part in (*each.allocations, *each.credit_allocations, *each.gone_back)
    }
    methods = {each.method_id for each in payments if each.method_id}
    if not parts and not methods:
        return {}, {}
    rows = await connection.fetch(BESIDE, sorted(parts), sorted(methods))
    numbers = {row["id"]: row["number"] for row in rows if row["kind"] is None}
    short = ("kind", "brand", "last4")
    return numbers, {row["id"]: {name: row[name] for name in short} for row in rows if row["kind"] is not None}
