"""Every SQL statement of disputes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from contracts.money import Money
from support.disputes.domain import Dispute, DisputedInvoice, Line

DISPUTE = """d.id, d.ticket_id, d.customer_id, d.invoice_id, d.status, d.category, d.lines::text, d.amount, d.currency, d.raised_at,
    d.decided_at, d.sequence"""


def dispute_of(row: Any) -> Dispute:
    names = ("id", "ticket_id", "customer_id", "invoice_id", "status", "category", "amount", "currency", "raised_at",
             "decided_at", "sequence")  # fmt: skip
    return Dispute(**{name: row[name] for name in names}, lines=lines_of(row["lines"]))


def lines_of(text: str) -> tuple[Line, ...]:
    return tuple(Line(one["line"], one["amount"]) for one in orjson.loads(text))


async def lock_invoice(work: Work, invoice_id: str) -> DisputedInvoice | None:
    """An invoice, so that two disputes of it are raised one after the other."""
    sql = "SELECT id, number, status, currency, total, lines FROM invoices WHERE id = $1 FOR NO KEY UPDATE"
    row = await work.connection.fetchrow(sql, invoice_id)
    if row is None:
        return None
    lines = tuple(row["lines"]) if row["lines"] is not None else None
    return DisputedInvoice(row["id"], row["number"], row["status"], Money(row["total"], row["currency"]), lines)


OF_INVOICE = f"""
SELECT {DISPUTE} FROM disputes d WHERE d.invoice_id = $1 AND (d.decided_at IS NULL OR d.status = 'accepted') ORDER BY d.id
"""  # noqa: S608


async def load_others(work: Work, invoice_id: str) -> list[Dispute]:
    """The disputes of an invoice that are undecided or were accepted."""
    return [dispute_of(row) for row in await work.connection.fetch(OF_INVOICE, invoice_id)]


ADD = """
INSERT INTO disputes (id, ticket_id, customer_id, invoice_id, status, category, lines, amount, currency, raised_at, decided_at, sequence)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""


async def add_dispute(work: Work, one: Dispute) -> None:
    lines = orjson.dumps([{"line": each.line, "amount": each.amount} for each in one.lines]).decode()
    await work.connection.execute(
        ADD, one.id, one.ticket_id, one.customer_id, one.invoice_id, one.status, one.category, lines, one.amount,
        one.currency, one.raised_at, one.decided_at, one.sequence,
    )  # fmt: skip


OF_CUSTOMER = "($2::uuid IS NULL OR d.customer_id = $2)"
LOCK = f"SELECT {DISPUTE} FROM disputes d WHERE d.id = $1 AND {OF_CUSTOMER} FOR NO KEY UPDATE"  # noqa: S608


async def lock_dispute(work: Work, dispute_id: str, customer_id: str | None) -> Dispute | None:
    """`customer_id`: only if it is a dispute of this customer."""
    row = await work.connection.fetchrow(LOCK, dispute_id, customer_id)
    return dispute_of(row) if row else None


async def save_dispute(work: Work, one: Dispute) -> None:
    """Save what a decision changes of a locked dispute."""
    sql = "UPDATE disputes SET status = $2, decided_at = $3, sequence = $4 WHERE id = $1"
    await work.connection.execute(sql, one.id, one.status, one.decided_at, one.sequence)


SHOWN = f"""SELECT {DISPUTE}, t.number AS ticket_number, c.name AS customer_name, i.number AS invoice_number,
    i.status AS invoice_status, i.payable_now, i.pending, d.note_number, d.note_amount, d.note_applied, d.uncredited,
    i.total - (SELECT coalesce(sum(coalesce(o.note_amount, o.amount)), 0)::bigint FROM disputes o
        WHERE o.invoice_id = d.invoice_id AND o.status = 'accepted' AND NOT o.uncredited) AS left_to_credit
    FROM disputes d JOIN tickets t ON t.id = d.ticket_id LEFT JOIN customers c ON c.id = d.customer_id
    LEFT JOIN invoices i ON i.id = d.invoice_id"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Filter:
    customer_id: str | None = None
    invoice_id: str | None = None
    status: str | None = None


async def list_disputes(reads: Reads, asked: Filter, before: str | None, limit: int) -> Sequence[Any]:
    """The newest first, one more than `limit` to show whether there is a next page."""
    sql, arguments = query(asked, before, limit)
    return await reads.fetch(sql, *arguments)


def query(asked: Filter, before: str | None, limit: int) -> tuple[str, list[Any]]:
    arguments: list[Any] = []

    def bind(value: Any, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    where = ["true"]
    for column, kind in (("customer_id", "uuid"), ("invoice_id", "uuid"), ("status", "text")):
        value = getattr(asked, column)
        if value is not None:
            where.append(f"d.{column} = {bind(value, kind)}")
    if before is not None:
        where.append(f"d.id < {bind(before, 'uuid')}")
    sql = f"{SHOWN} WHERE {' AND '.join(where)} ORDER BY d.id DESC LIMIT {bind(limit + 1, 'int')}"
    return sql, arguments


async def load_dispute(reads: Reads, dispute_id: str, customer_id: str | None) -> Any:
    """The row of a dispute as it is shown; None if there is none, or not of this customer."""
    return await reads.fetchrow(f"{SHOWN} WHERE d.id = $1 AND {OF_CUSTOMER}", dispute_id, customer_id)


async def find_dispute(reads: Reads, ticket_id: str) -> Any:
    """The row of a ticket's dispute; None if it has none."""
    return await reads.fetchrow(f"{SHOWN} WHERE d.ticket_id = $1", ticket_id)
