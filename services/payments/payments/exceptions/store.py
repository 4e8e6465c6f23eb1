"""Exceptions and their trails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis.messaging.work import Work
from contracts.ids import new_id
from payments.exceptions.domain import Open, Proposal
from payments.sql import Rows

_OPENED = Rows(
    "e", id="uuid", **{"class": "text"}, payment_id="uuid", provider_id="text", line_id="bigint", currency="text",
    amount="bigint", proposals="jsonb", payout_line_id="text", created_at="timestamptz", voided_id="uuid",
)  # fmt: skip
OPEN_EXCEPTIONS = f"""
WITH told AS (
    SELECT * FROM {_OPENED.at(1)}
), amended AS (
    UPDATE exceptions e SET amount = told.amount FROM told WHERE e.payment_id = told.payment_id
        AND e.provider_id = told.provider_id AND e.class = told.class AND e.state = 'open'
)
INSERT INTO exceptions ({_OPENED.columns}, state) SELECT *, 'open' FROM told
ON CONFLICT DO NOTHING RETURNING id
"""  # noqa: S608


async def open_exceptions(work: Work, exceptions: Sequence[Open]) -> list[str]:
    """Open exceptions; return the ids of the new ones.

    There is at most one open exception for a line, for each void of a line, for a payment, and for each class of a
    reversal. If a reversal is opened again with another amount, the open exception gets that amount.
    """
    opened = (
        (
            new_id(), e.why, e.payment_id, e.provider_id, e.line_id, e.amount.currency, e.amount.minor,
            orjson.dumps([_view_of(each) for each in e.proposals]).decode(), e.payout_line_id, work.now, e.voided_id,
        )
        for e in exceptions
    )  # fmt: skip
    return [row["id"] for row in await work.connection.fetch(OPEN_EXCEPTIONS, *_OPENED.arrays(opened))]


def _view_of(proposal: Proposal) -> dict[str, Any]:
    return {
        "customer_id": proposal.customer_id,
        "invoices": [{"invoice_id": part.invoice_id, "amount_minor": part.amount.minor} for part in proposal.parts],
        "score": proposal.score,
        "reasons": list(proposal.reasons),
        "payment_id": proposal.payment_id,
        "payment_ids": list(proposal.payment_ids),
        "payout_id": proposal.payout_id,
    }


CLOSE_EXCEPTIONS = """
WITH closed AS (
    UPDATE exceptions e SET state = 'resolved', resolved_at = $3
    FROM unnest($1::uuid[], $2::text[]) AS c (payment_id, provider_id)
    WHERE e.payment_id = c.payment_id AND e.provider_id IS NOT DISTINCT FROM c.provider_id
        AND (e.provider_id IS NULL OR e.class = 'wrong_amount')
        AND e.line_id IS NULL AND e.payout_line_id IS NULL AND e.state = 'open' RETURNING e.id
)
INSERT INTO exception_notes (exception_id, at, actor, action, detail)
SELECT id, $3, 'system:payments', 'resolved', $4 FROM closed
"""


async def close_exceptions(work: Work, about: Sequence[tuple[str, str | None]], why: str) -> None:
    """Close exceptions of payments, or of their reversals (by id at the provider), that agree now."""
    ids, provider_ids = [one for one, _ in about], [one for _, one in about]
    await work.connection.execute(CLOSE_EXCEPTIONS, ids, provider_ids, work.now, why)


EXCEPTION = """
SELECT e.id, e.class, e.state, e.payment_id, e.provider_id, e.currency, e.amount, e.proposals::text, e.assigned_to, e.created_at, e.resolved_at,
    e.line_id, e.payout_line_id, l.statement_id, l.place, l.account, l.booked_on, l.refs, l.text, l.payer, l.state AS line_state, l.identity,
    l.payer_account, l.reversal, l.amount AS line_amount, e.decision, e.answer, e.voided_id
FROM exceptions e LEFT JOIN bank_lines l ON l.id = e.line_id
"""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which exceptions a list has. `why` is their class."""

    state: str | None = None
    why: str | None = None
    assigned_to: str | None = None
    newest_first: bool = False


async def list_exceptions(
    connection: asyncpg.Connection, asked: Filter, after: tuple[datetime, str] | None, limit: int
) -> list[asyncpg.Record]:
    beyond, order = ("<", "DESC") if asked.newest_first else (">", "ASC")
    sql = f"""{EXCEPTION} WHERE ($1::text IS NULL OR e.state = $1) AND ($2::text IS NULL OR e.class = $2)
        AND ($3::text IS NULL OR e.assigned_to = $3) AND ($4::timestamptz IS NULL OR (e.created_at, e.id) {beyond} ($4, $5::uuid))
        ORDER BY e.created_at {order}, e.id {order} LIMIT $6"""
    values = (asked.state, asked.why, asked.assigned_to)
    return list(await connection.fetch(sql, *values, *(after or (None, None)), limit))


async def list_payments_of_line(connection: asyncpg.Connection, line_id: int) -> list[dict[str, Any]]:
    """The payments that a bank line was posted as or matched with, the oldest first."""
    sql = """SELECT p.id, p.customer_id, c.name AS customer_name, p.amount AS amount_minor, p.going_back AS gone_back_minor
        FROM payments p LEFT JOIN customers c ON c.id = p.customer_id WHERE p.bank_line_id = $1 ORDER BY p.id"""
    return [dict(row) for row in await connection.fetch(sql, line_id)]


async def load_exception(connection: asyncpg.Connection, exception_id: str) -> asyncpg.Record | None:
    return await connection.fetchrow(f"{EXCEPTION} WHERE e.id = $1", exception_id)


@dataclass(frozen=True, slots=True)
class Named:
    """What proposals name: customers' names by id; numbers and balances of invoices by id."""

    customers: dict[str, str]
    invoices: dict[str, tuple[str, int | None]]


NAMED = """
SELECT id, name, NULL::bigint AS balance, true AS customer FROM customers WHERE id = ANY($1::uuid[]) AND name IS NOT NULL
UNION ALL SELECT id, number, balance, false FROM invoices WHERE id = ANY($2::uuid[])
"""


async def load_named(connection: asyncpg.Connection, rows: Sequence[asyncpg.Record]) -> Named:
    """What the proposals of these exceptions name, in one round trip."""
    proposals = [one for row in rows for one in orjson.loads(row["proposals"])]
    customers = {one["customer_id"] for one in proposals if one["customer_id"]}
    invoices = {part["invoice_id"] for one in proposals for part in one["invoices"]}
    if not customers and not invoices:
        return Named({}, {})
    found = await connection.fetch(NAMED, sorted(customers), sorted(invoices))
    return Named(
        {row["id"]: row["name"] for row in found if row["customer"]},
        {row["id"]: (row["name"], row["balance"]) for row in found if not row["customer"]},
    )


async def lock_exception(work: Work, exception_id: str) -> asyncpg.Record | None:
    return await work.connection.fetchrow(f"{EXCEPTION} WHERE e.id = $1 FOR NO KEY UPDATE OF e", exception_id)


async def line_waits(work: Work, line_id: int) -> bool:
    """Whether an exception about a line is still open."""
    sql = "SELECT EXISTS (SELECT FROM exceptions WHERE line_id = $1 AND state = 'open')"
    waits: bool = await work.connection.fetchval(sql, line_id)
    return waits


async def resolve_exception(work: Work, exception_id: str, payment_id: str | None) -> None:
    sql = """UPDATE exceptions SET state = 'resolved', resolved_at = $2, payment_id = coalesce(payment_id, $3) WHERE id = $1"""
    await work.connection.execute(sql, exception_id, work.now, payment_id)


async def keep_decision(work: Work, exception_id: str, decision: bytes, answer: bytes) -> None:
    """Keep the decision and its answer, so that the same request gets the same answer."""
    sql = "UPDATE exceptions SET decision = $2, answer = $3 WHERE id = $1"
    await work.connection.execute(sql, exception_id, decision, answer)


ASSIGN = """
UPDATE exceptions SET assigned_to = $2::text, announced = announced + ($2::text IS NOT NULL)::int WHERE id = $1
RETURNING announced
"""


async def assign_exception(work: Work, exception_id: str, whom: str | None) -> int:
    """Returns how often it was given to somebody."""
    given: int = await work.connection.fetchval(ASSIGN, exception_id, whom)
    return given


async def note(work: Work, exception_id: str, actor: str, action: str, detail: str | None) -> None:
    sql = "INSERT INTO exception_notes (exception_id, at, actor, action, detail) VALUES ($1, $2, $3, $4, $5)"
    await work.connection.execute(sql, exception_id, work.now, actor, action, detail)


async def note_line(work: Work, line_id: int, actor: str, action: str, detail: str) -> None:
    """Add a note to the trail of each exception of a line."""
    sql = """INSERT INTO exception_notes (exception_id, at, actor, action, detail)
        SELECT id, $2, $3, $4, $5 FROM exceptions WHERE line_id = $1 ORDER BY id"""
    await work.connection.execute(sql, line_id, work.now, actor, action, detail)


async def list_notes(connection: asyncpg.Connection, exception_id: str) -> list[dict[str, Any]]:
    sql = "SELECT at, actor, action, detail FROM exception_notes WHERE exception_id = $1 ORDER BY id"
    return [dict(row) for row in await connection.fetch(sql, exception_id)]
