"""Customers, people, invoices and payments, from the events of the services that own them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.db.reads import Reads
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts.auth import ContactChanged, StaffChanged
from contracts.envelope import Amount
from contracts.invoicing import CreditNoteIssued, CustomerChanged, InvoiceIssued, InvoiceState
from contracts.payments import PaymentReconciled, PaymentState

KEEP_CUSTOMERS = """
INSERT INTO customers (id, name, account_manager)
SELECT DISTINCT ON (id) id, name, account_manager FROM unnest($1::uuid[], $2::text[], $3::text[]) WITH ORDINALITY
    AS c (id, name, account_manager, place)
ORDER BY id, place DESC
ON CONFLICT (id) DO UPDATE SET name = excluded.name, account_manager = excluded.account_manager
"""


async def keep_customers(work: Work, customers: Sequence[CustomerChanged]) -> None:
    rows = [(one.customer_id, one.name, one.account_manager) for one in customers]
    await work.connection.execute(KEEP_CUSTOMERS, *zip(*rows, strict=True))


async def forget_customers(work: Work, ids: Sequence[str]) -> None:
    """Their names are nowhere any more. What was written in tickets stays: it is the company's correspondence."""
    await work.connection.execute("UPDATE customers SET name = NULL WHERE id = ANY($1::uuid[])", ids)


KEEP_PEOPLE = """
INSERT INTO people (id, customer_id, name, email, role, enabled)
SELECT DISTINCT ON (id) id, customer_id, name, email, role, enabled
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bool[]) WITH ORDINALITY
    AS p (id, customer_id, name, email, role, enabled, place)
ORDER BY id, place DESC
ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, name = excluded.name, email = excluded.email,
    role = excluded.role, enabled = excluded.enabled
"""


async def keep_people(work: Work, people: Sequence[ContactChanged | StaffChanged]) -> None:
    rows = [
        (one.aggregate_id, getattr(one, "customer_id", None), one.name, one.email, getattr(one, "role", None),
         one.enabled)
        for one in people
    ]  # fmt: skip
    await work.connection.execute(KEEP_PEOPLE, *zip(*rows, strict=True))


async def forget_people(work: Work, ids: Sequence[str]) -> None:
    await work.connection.execute("DELETE FROM people WHERE id = ANY($1::uuid[])", ids)


KEEP_INVOICES = """
INSERT INTO invoices AS i (id, customer_id, number, status, currency, total, sequence, payable_now, pending, lines)
SELECT id, customer_id, number, status, currency, total, sequence, payable_now, pending, lines::bigint[]
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[])
    AS n (id, customer_id, number, status, currency, total, sequence, payable_now, pending, lines)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, sequence = excluded.sequence, payable_now = excluded.payable_now,
    pending = excluded.pending, lines = coalesce(excluded.lines, i.lines)
WHERE i.sequence < excluded.sequence
"""


async def keep_invoices(work: Work, events: Sequence[Received[InvoiceState]]) -> None:
    """Save each invoice from its newest event."""
    newest = {received.event.invoice_id: received for received in events}
    issued = [received.event for received in events if isinstance(received.event, InvoiceIssued)]
    lines = {one.invoice_id: _array(one.lines) for one in issued if one.lines}
    rows = [
        (one.event.invoice_id, one.event.customer_id, one.event.number, one.event.status, one.event.total.currency,
         one.event.total.amount_minor, one.sequence, one.event.payable_now.amount_minor,
         one.event.pending.amount_minor, lines.get(one.event.invoice_id))
        for _, one in sorted(newest.items())
    ]  # fmt: skip
    await work.connection.execute(KEEP_INVOICES, *zip(*rows, strict=True))


UNCREDITED = """
UPDATE disputes SET uncredited = true WHERE id = ANY($1::uuid[]) AND status = 'accepted' AND note_number IS NULL
"""


async def keep_uncredited(work: Work, events: Sequence[Received[InvoiceState]]) -> None:
    """Save with accepted disputes that no credit note comes. Each event names its own, so that all of them count."""
    ids = [dispute_id for received in events for dispute_id in received.event.uncredited or ()]
    if ids:
        await work.connection.execute(UNCREDITED, ids)


def _array(lines: Sequence[Amount]) -> str:
    """Amounts of lines. Arrays of arrays of several lengths travel as text alone."""
    return "{" + ",".join(str(one.amount_minor) for one in lines) + "}"


KEEP_CREDIT_NOTES = """
UPDATE disputes d SET note_number = n.number, note_amount = n.amount, note_applied = n.applied
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) AS n (dispute_id, number, amount, applied)
WHERE d.id = n.dispute_id
"""


async def keep_credit_notes(work: Work, notes: Sequence[CreditNoteIssued]) -> None:
    """Save with each accepted dispute what was credited for it."""
    rows = [(one.dispute_id, one.number, one.amount.amount_minor, one.applied.amount_minor) for one in notes]
    await work.connection.execute(KEEP_CREDIT_NOTES, *zip(*rows, strict=True))


KEEP_PAYMENTS = """
INSERT INTO payments AS p (id, customer_id, number, status, reconciliation, sequence, reconciled_at)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
ON CONFLICT (id) DO UPDATE SET status = excluded.status, reconciliation = excluded.reconciliation, sequence = excluded.sequence,
    reconciled_at = excluded.reconciled_at
WHERE p.sequence < excluded.sequence RETURNING id
"""


async def keep_payments(work: Work, events: Sequence[Received[PaymentState]]) -> set[str]:
    """Save each payment from its newest event. Returns those of which this was news."""
    newest = {received.event.payment_id: received for received in events}
    rows = [
        (one.event.payment_id, one.event.customer_id, one.event.number, one.event.status, one.event.reconciliation,
         one.sequence, one.time if isinstance(one.event, PaymentReconciled) else None)
        for _, one in sorted(newest.items())
    ]  # fmt: skip
    return {row["id"] for row in await work.connection.fetch(KEEP_PAYMENTS, *zip(*rows, strict=True))}


async def customer_known(reads: Reads, customer_id: str) -> bool:
    return bool(await reads.fetchval("SELECT true FROM customers WHERE id = $1", customer_id))


async def customer_of_invoice(reads: Reads, invoice_id: str) -> str | None:
    """Whose invoice it is; None: there is none, or the reader may not see it."""
    found: str | None = await reads.fetchval("SELECT customer_id FROM invoices WHERE id = $1", invoice_id)
    return found


async def customer_of_payment(reads: Reads, payment_id: str) -> str | None:
    found: str | None = await reads.fetchval("SELECT customer_id FROM payments WHERE id = $1", payment_id)
    return found


async def is_of_company(reads: Reads, person_id: str) -> bool:
    """Whether it is one of the company's people who may sign in."""
    sql = "SELECT true FROM people WHERE id = $1 AND customer_id IS NULL AND enabled"
    return bool(await reads.fetchval(sql, person_id))


async def names_of(reads: Reads, ids: Sequence[str], *, addresses: bool) -> dict[str, str | None]:
    """Names by id; with `addresses` that of who has no name. Whoever is erased is left out."""
    rows: list[Any] = (
        await reads.fetch("SELECT id, name, email FROM people WHERE id = ANY($1::uuid[])", ids) if ids else []
    )
    return {row["id"]: row["name"] or (row["email"] if addresses else None) for row in rows}
