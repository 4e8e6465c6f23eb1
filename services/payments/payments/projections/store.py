"""Customers, invoices and credit, from invoicing's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from chassis.db.reads import Reads
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts.invoicing import CreditChanged, CreditNoteState, InvoiceState
from payments.projections.domain import CLOSED, called

KEEP_CUSTOMERS = """
INSERT INTO customers (id, called, name, sequence)
SELECT id, called, name, 1 FROM unnest($1::uuid[], $2::text[], $3::text[]) AS c (id, called, name)
ON CONFLICT (id) DO UPDATE SET called = excluded.called, name = excluded.name
"""


async def keep_customers(work: Work, names: Mapping[str, str | None]) -> None:
    """Save customers by id with their present names; None: the customer was erased."""
    ids = sorted(names)
    names_of = [called(names[one] or "") or None for one in ids]
    await work.connection.execute(KEEP_CUSTOMERS, ids, names_of, [names[one] for one in ids])


async def customer_known(connection: Reads, customer_id: str) -> bool:
    return bool(await connection.fetchval("SELECT true FROM customers WHERE id = $1", customer_id))


async def lock_customer(work: Work, customer_id: str) -> bool:
    """Lock a customer, so that changes of its methods and autopay run one by one. False if it is unknown."""
    sql = "SELECT true FROM customers WHERE id = $1 FOR NO KEY UPDATE"
    return bool(await work.connection.fetchval(sql, customer_id))


# Charges to skip are found by invoice id, which has an index. A join with the events, planned while the table was empty, would read
# all scheduled charges each time.
KEEP_INVOICES = """
WITH told AS (
    UPDATE receipt_parts r SET settled = true WHERE r.invoice_id = ANY($11::uuid[]) AND NOT r.settled
        AND EXISTS (SELECT FROM unnest($11::uuid[], $12::uuid[]) AS t (invoice_id, payment_id)
            WHERE (t.invoice_id, t.payment_id) = (r.invoice_id, r.payment_id) OFFSET 0)
), skipped AS (
    UPDATE autopay_charges SET left_out = 0, state = CASE WHEN reason = 'part_held' THEN state ELSE 'skipped' END,
        reason = CASE WHEN reason = 'part_held' THEN reason
            ELSE 'invoice_' || ($14::text[])[array_position($13::uuid[], invoice_id)] END
    WHERE invoice_id = ANY($13::uuid[]) AND (state = 'scheduled'
        OR (state, reason) IN (('skipped', 'all_held'), ('submitted', 'part_held'), ('paid', 'part_held')))
)
INSERT INTO invoices AS i (id, customer_id, number, status, currency, issued_on, due_on, balance, payable_now, sequence, disputed,
    held, held_until)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::bigint[],
    $9::bigint[], $10::bigint[], $15::bigint[], $16::bigint[], $17::date[])
ON CONFLICT (id) DO UPDATE SET status = excluded.status, balance = excluded.balance, payable_now = excluded.payable_now,
    sequence = excluded.sequence, disputed = excluded.disputed, held = excluded.held, held_until = excluded.held_until
WHERE i.sequence < excluded.sequence
"""


async def keep_invoices(work: Work, events: Sequence[Received[InvoiceState]]) -> None:
    """Save each invoice from its newest event. Parts of bank receipts that these events show are settled.

    If any of the events closed an invoice, autopay does not charge it any more, even if it is owed again: neither by a
    coming try nor what a try left out. One statement does both, as a try may be made while it waits for the row.
    """
    newest = {received.event.invoice_id: received for received in events}
    rows = [newest[invoice_id] for invoice_id in sorted(newest)]
    states = [row.event for row in rows]
    told = sorted({(each.event.invoice_id, each.event.payment_id) for each in events if each.event.payment_id})
    closed = {each.event.invoice_id: each.event.status for each in events if each.event.status in CLOSED}
    await work.connection.execute(
        KEEP_INVOICES,
        [s.invoice_id for s in states], [s.customer_id for s in states], [s.number for s in states],
        [s.status for s in states], [s.total.currency for s in states], [s.issued_on for s in states],
        [s.due_on for s in states], [s.balance.amount_minor for s in states],
        [s.payable_now.amount_minor for s in states], [row.sequence for row in rows],
        [invoice_id for invoice_id, _ in told], [payment_id for _, payment_id in told],
        list(closed), list(closed.values()),
        [s.disputed.amount_minor if s.disputed else 0 for s in states],
        [s.held.amount_minor if s.held else 0 for s in states], [s.held_until for s in states],
    )  # fmt: skip


async def load_names(
    connection: asyncpg.Connection, customer_id: str, invoice_ids: Sequence[str]
) -> tuple[bool, dict[str, str]]:
    """Return whether the customer is known, and the currencies of the invoices that belong to it."""
    sql = "SELECT id, currency FROM invoices WHERE id = ANY($2::uuid[]) AND customer_id = $1"
    rows = await connection.fetch(sql, customer_id, invoice_ids)
    return bool(rows) or await customer_known(connection, customer_id), {row["id"]: row["currency"] for row in rows}


KEEP_CREDITS = """
INSERT INTO credits AS c (id, customer_id, currency, available, sequence)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[])
ON CONFLICT (id) DO UPDATE SET available = excluded.available, sequence = excluded.sequence WHERE c.sequence < excluded.sequence
"""


async def keep_credits(work: Work, events: Sequence[Received[CreditChanged] | Received[CreditNoteState]]) -> None:
    """Save each credit from its newest event: money without an invoice, and what credit notes leave over."""
    newest = {received.event.aggregate_id: received for received in events}
    rows = [newest[credit_id] for credit_id in sorted(newest)]
    await work.connection.execute(
        KEEP_CREDITS,
        [row.event.aggregate_id for row in rows], [row.event.customer_id for row in rows],
        [row.event.balance.currency for row in rows],
        [(row.event.available or row.event.balance).amount_minor for row in rows], [row.sequence for row in rows],
    )  # fmt: skip


async def available_credit(connection: Reads, customer_id: str, currency: str) -> int:
    """Minor units of the customer's credit that no payment under way holds."""
    sql = "SELECT sum(available)::bigint FROM credits WHERE customer_id = $1 AND currency = $2 AND available > 0"
    return int(await connection.fetchval(sql, customer_id, currency) or 0)


INVOICE = (
    "id, customer_id, number, status, currency, issued_on, due_on, payable_now, balance, disputed, held, held_until"
)
