"""What stands beside payments: names of their customers, numbers of their invoices, and what their methods are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chassis.db.reads import Reads
from payments.collecting.domain.payments import Payment, Reversal

BESIDE = """
SELECT id, number AS called, 'invoice' AS what, NULL AS kind, NULL AS brand, NULL AS last4 FROM invoices WHERE id = ANY($1::uuid[])
UNION ALL SELECT id, NULL, 'method', kind, brand, last4 FROM methods WHERE id = ANY($2::uuid[])
UNION ALL SELECT id, name, 'customer', NULL, NULL, NULL FROM customers WHERE id = ANY($3::uuid[])
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """Names of customers, numbers of invoices, and methods (kind, brand, last4), each by id; reversals."""

    customers: Mapping[str, str | None] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    reversals: Sequence[Reversal] = ()


async def load_beside(connection: Reads, payments: Sequence[Payment]) -> Beside:
    """All but the reversals, in one round trip."""
    if not payments:
        return Beside()
    parts = {
        part.invoice_id
        for each in payments
        for part in (*each.allocations, *each.credit_allocations, *each.gone_back, *each.asked_in_vain)
    }
    methods = {each.method_id for each in payments if each.method_id}
    customers = {each.customer_id for each in payments}
    rows = await connection.fetch(BESIDE, sorted(parts), sorted(methods), sorted(customers))
    of = {what: [row for row in rows if row["what"] == what] for what in ("customer", "invoice", "method")}
    return Beside(
        {row["id"]: row["called"] for row in of["customer"]},
        {row["id"]: row["called"] for row in of["invoice"]},
        {row["id"]: {name: row[name] for name in ("kind", "brand", "last4")} for row in of["method"]},
    )
