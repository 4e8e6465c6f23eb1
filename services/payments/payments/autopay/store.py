"""Autopay of customers, and its tries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import asyncpg

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from contracts.money import Money
from payments.autopay.domain import ALL_HELD, PART_HELD, Autopay, AutopayCharge
from payments.methods.domain.methods import Method, MethodKind
from payments.methods.store.methods import METHOD, METHOD_WIDTH, method_of
from payments.projections.domain import CLOSED, OpenInvoice
from payments.projections.store import INVOICE
from payments.setbacks.store import in_turn
from payments.sql import columns_of

AUTOPAY = """customer_id, enabled, method_id, day, surcharge_consent, surcharge_rate, enabled_at, enabled_by, held_reason, held_at,
    sequence, currencies, currency_methods"""
CHARGE = """id, customer_id, invoice_id, attempt, first_at, notice_at, charge_at, charge_on, state, reason, payment_id, declines, announced,
    left_out"""
_AUTOPAY_WIDTH, _CHARGE_WIDTH = len(AUTOPAY.split(",")), len(CHARGE.split(","))


async def load_autopay(connection: Reads, customer_id: str) -> Autopay | None:
    row = await connection.fetchrow(f"SELECT {AUTOPAY} FROM autopay WHERE customer_id = $1", customer_id)  # noqa: S608
    return _autopay_of(tuple(row)) if row else None


def _autopay_of(row: tuple[Any, ...]) -> Autopay:
    return replace(Autopay(*row[:-2]), by_currency=tuple(zip(row[-2], row[-1], strict=True)))


async def lock_autopay_of(work: Work, customer_id: str) -> Autopay | None:
    sql = f"SELECT {AUTOPAY} FROM autopay WHERE customer_id = $1 FOR NO KEY UPDATE"  # noqa: S608
    row = await work.connection.fetchrow(sql, customer_id)
    return _autopay_of(tuple(row)) if row else None


LOCK_CHARGING = f"""
SELECT {AUTOPAY} FROM autopay WHERE customer_id = ANY($1::uuid[]) AND enabled AND held_reason IS NULL
ORDER BY customer_id FOR NO KEY UPDATE
"""  # noqa: S608


async def lock_autopay(work: Work, customer_ids: Sequence[str]) -> dict[str, Autopay]:
    """Lock the autopay of these customers, if it is switched on and not held."""
    rows = await work.connection.fetch(LOCK_CHARGING, sorted(set(customer_ids)))
    return {row["customer_id"]: _autopay_of(tuple(row)) for row in rows}


async def lock_autopay_by_method(work: Work, method_ids: Sequence[str]) -> list[Autopay]:
    """Lock the autopay that charges one of these methods."""
    sql = f"""SELECT {AUTOPAY} FROM autopay WHERE (method_id = ANY($1::uuid[]) OR currency_methods && $1::uuid[]) AND enabled
        AND held_reason IS NULL ORDER BY customer_id FOR NO KEY UPDATE"""  # noqa: S608
    return [_autopay_of(tuple(row)) for row in await work.connection.fetch(sql, sorted(set(method_ids)))]


SAVE_AUTOPAY = f"""
INSERT INTO autopay ({AUTOPAY}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (customer_id) DO UPDATE SET enabled = excluded.enabled, method_id = excluded.method_id, day = excluded.day,
    surcharge_consent = excluded.surcharge_consent, surcharge_rate = excluded.surcharge_rate,
    enabled_at = excluded.enabled_at, enabled_by = excluded.enabled_by, held_reason = excluded.held_reason,
    held_at = excluded.held_at, sequence = excluded.sequence, currencies = excluded.currencies,
    currency_methods = excluded.currency_methods
"""  # noqa: S608


async def save_autopay(work: Work, autopay: Autopay) -> None:
    values = [getattr(autopay, name.strip()) for name in AUTOPAY.split(",")[:-2]]
    currencies, methods = [one for one, _ in autopay.by_currency], [one for _, one in autopay.by_currency]
    await work.connection.execute(SAVE_AUTOPAY, *values, currencies, methods)


ADD_CHARGES = f"""
INSERT INTO autopay_charges ({CHARGE})
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::int[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[],
    $8::date[], $9::text[], $10::text[], $11::uuid[], $12::int[], $13::bigint[], $14::bigint[]) AS c ({CHARGE})
WHERE ((SELECT i.status FROM invoices i WHERE i.id = c.invoice_id) = ANY($15::text[])) IS NOT TRUE
ON CONFLICT (invoice_id, attempt) DO NOTHING RETURNING id
"""  # noqa: S608


async def add_charges(work: Work, charges: Sequence[AutopayCharge]) -> set[str]:
    """Add tries; return the ids of the new ones. An invoice has each try once, and a closed invoice has none."""
    columns = [[getattr(charge, name.strip()) for charge in charges] for name in CHARGE.split(",")]
    return {row["id"] for row in await work.connection.fetch(ADD_CHARGES, *columns, sorted(CLOSED))}


SAVE_CHARGES = """
UPDATE autopay_charges c SET state = s.state, reason = s.reason, payment_id = s.payment_id, first_at = s.first_at,
    charge_at = s.charge_at, charge_on = s.charge_on, left_out = s.left_out
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[], $6::timestamptz[], $7::date[], $8::bigint[])
    AS s (id, state, reason, payment_id, first_at, charge_at, charge_on, left_out) WHERE c.id = s.id
"""


async def save_charges(work: Work, charges: Sequence[AutopayCharge]) -> None:
    await work.connection.execute(
        SAVE_CHARGES, [c.id for c in charges], [c.state for c in charges], [c.reason for c in charges],
        [c.payment_id for c in charges], [c.first_at for c in charges], [c.charge_at for c in charges],
        [c.charge_on for c in charges], [c.left_out for c in charges],
    )  # fmt: skip


async def held_back_among(work: Work, invoice_ids: Collection[str]) -> set[str]:
    """Of these invoices, those of which a try left out a part or all."""
    sql = "SELECT DISTINCT invoice_id FROM autopay_charges WHERE invoice_id = ANY($1::uuid[]) AND reason = ANY($2::text[])"
    rows = await work.connection.fetch(sql, sorted(invoice_ids), [PART_HELD, ALL_HELD])
    return {row["invoice_id"] for row in rows}


LOAD_HELD_BACK = f"""
SELECT {columns_of("c", CHARGE)}, {columns_of("i", INVOICE)} FROM invoices i CROSS JOIN LATERAL (
    SELECT * FROM autopay_charges WHERE invoice_id = i.id ORDER BY attempt DESC LIMIT 1
) c WHERE i.id = ANY($1::uuid[]) AND c.reason = ANY($2::text[])
"""  # noqa: S608


async def load_held_back(work: Work, invoice_ids: Sequence[str]) -> dict[str, tuple[AutopayCharge, OpenInvoice]]:
    """Of each invoice the last try, if it left out a part or all. Lock autopay first, so that this does not change."""
    rows = await work.connection.fetch(LOAD_HELD_BACK, sorted(set(invoice_ids)), [PART_HELD, ALL_HELD])
    found = [(AutopayCharge(*row[:_CHARGE_WIDTH]), OpenInvoice(*row[_CHARGE_WIDTH:])) for row in map(tuple, rows)]
    return {invoice.id: (charge, invoice) for charge, invoice in found}


@dataclass(frozen=True, slots=True)
class Due:
    """A due try, and all that decides it."""

    charge: AutopayCharge
    autopay: Autopay
    method: Method | None
    invoice: OpenInvoice | None


DUE_CHARGES = f"""
SELECT c.id FROM autopay_charges c WHERE c.state = 'scheduled' AND c.charge_at <= $1 AND {in_turn("charge-autopay", "c.id")}
ORDER BY c.charge_at, c.id LIMIT $2
"""  # noqa: S608


async def due_charges(connection: asyncpg.Connection, now: datetime, limit: int) -> list[str]:
    """Return due tries that were not put off."""
    return [row["id"] for row in await connection.fetch(DUE_CHARGES, now, limit)]


CLAIM_DUE = f"""
SELECT {columns_of("c", CHARGE)}, {columns_of("a", AUTOPAY)}, {METHOD}, {columns_of("i", INVOICE)}
FROM autopay_charges c JOIN autopay a ON a.customer_id = c.customer_id LEFT JOIN invoices i ON i.id = c.invoice_id
LEFT JOIN methods m ON m.id = coalesce(a.currency_methods[array_position(a.currencies, i.currency)], a.method_id)
WHERE c.id = ANY($2::uuid[]) AND c.state = 'scheduled' AND c.charge_at <= $1
ORDER BY c.charge_at, c.id FOR NO KEY UPDATE OF c, a SKIP LOCKED
"""  # noqa: S608


async def claim_due(work: Work, ids: Sequence[str]) -> list[Due]:
    """Lock due tries and their customers' autopay until the outcome is saved. Other processes skip locked tries."""
    return [_due_of(tuple(row)) for row in await work.connection.fetch(CLAIM_DUE, work.now, ids)]


def _due_of(row: tuple[Any, ...]) -> Due:
    charge, rest = AutopayCharge(*row[:_CHARGE_WIDTH]), row[_CHARGE_WIDTH:]
    autopay, rest = _autopay_of(rest[:_AUTOPAY_WIDTH]), rest[_AUTOPAY_WIDTH:]
    method, rest = method_of(rest) if rest[0] is not None else None, rest[METHOD_WIDTH:]
    return Due(charge, autopay, method, OpenInvoice(*rest) if rest[0] is not None else None)


@dataclass(frozen=True, slots=True)
class Ended:
    """A try whose payment has ended, with that payment's data."""

    charge: AutopayCharge
    status: str
    reason: str | None
    method_kind: MethodKind | None
    amount: Money
    surcharge: Money


ENDED_CHARGES = f"""
SELECT c.id FROM autopay_charges c JOIN payments p ON p.id = c.payment_id
WHERE c.state = 'submitted' AND p.status IN ('succeeded', 'declined', 'cancelled', 'expired')
    AND {in_turn("follow-autopay", "c.id")} ORDER BY c.payment_id LIMIT $1
"""  # noqa: S608


async def ended_charges(connection: asyncpg.Connection, limit: int) -> list[str]:
    """Return tries whose payment has ended, without those that were put off."""
    return [row["id"] for row in await connection.fetch(ENDED_CHARGES, limit)]


CLAIM_ENDED = f"""
SELECT {columns_of("c", CHARGE)}, p.status AS ended, p.reason AS why, p.method_kind, p.amount, p.surcharge, p.currency
FROM autopay_charges c JOIN payments p ON p.id = c.payment_id
WHERE c.id = ANY($1::uuid[]) AND c.state = 'submitted'
    AND p.status IN ('succeeded', 'declined', 'cancelled', 'expired') ORDER BY c.payment_id FOR NO KEY UPDATE OF c SKIP LOCKED
"""  # noqa: S608


async def claim_ended(work: Work, ids: Sequence[str]) -> list[Ended]:
    rows = await work.connection.fetch(CLAIM_ENDED, ids)
    return [
        Ended(
            _charge_of(row), row["ended"], row["why"], row["method_kind"],
            Money(row["amount"], row["currency"]), Money(row["surcharge"], row["currency"]),
        )
        for row in rows
    ]  # fmt: skip


def _charge_of(row: Mapping[str, Any]) -> AutopayCharge:
    return AutopayCharge(*(row[name.strip()] for name in CHARGE.split(",")))


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A try that has not ended, its invoice's number, and the money without surcharge, as far as it is known now."""

    charge: AutopayCharge
    number: str
    amount: Money


LIST_UPCOMING = f"""
SELECT {columns_of("c", CHARGE)}, i.number, i.currency, a.amount
FROM autopay_charges c JOIN invoices i ON i.id = c.invoice_id LEFT JOIN payments p ON p.id = c.payment_id
CROSS JOIN LATERAL (
    SELECT coalesce(p.amount + p.credit_used, least(c.announced,
        least(i.payable_now, c.announced + coalesce(c.left_out, 0))
            - CASE WHEN i.held_until < greatest($3, c.charge_on) THEN i.disputed ELSE i.held END)) AS amount
) a
WHERE c.customer_id = $1 AND c.state IN ('scheduled', 'submitted') AND c.notice_at >= $2
    AND (a.amount > 0 OR i.held = 0 OR p.id IS NOT NULL) ORDER BY c.charge_at, c.id LIMIT 100
"""  # noqa: S608


async def list_upcoming(connection: Reads, customer_id: str, since: datetime | None, today: date) -> list[Upcoming]:
    """Return tries that were announced at `since` or later and have not ended, the next ones first.

    Those of which everything is held on their day are left out.
    """
    rows = await connection.fetch(LIST_UPCOMING, customer_id, since, today) if since else []
    return [Upcoming(_charge_of(row), row["number"], Money(row["amount"], row["currency"])) for row in rows]


LOAD_LEFT = f"""
SELECT {columns_of("i", INVOICE)}, c.tried FROM invoices i
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS tried, coalesce(bool_or(state IN ('scheduled', 'submitted') AND notice_at >= $2), false)
        OR coalesce((array_agg((state, reason) IN (('paid', '{PART_HELD}'), ('skipped', '{ALL_HELD}')) AND i.disputed > 0
            AND (state = 'skipped' OR left_out IS DISTINCT FROM 0) AND notice_at >= $2
            ORDER BY attempt DESC))[1], false) AS coming
    FROM autopay_charges WHERE invoice_id = i.id AND (reason IS DISTINCT FROM 'switched_off')
) c
WHERE i.customer_id = $1 AND i.payable_now > 0 AND NOT c.coming ORDER BY i.due_on, i.number LIMIT 100
"""  # noqa: S608


async def load_left(connection: Reads, customer_id: str, since: datetime | None) -> list[tuple[OpenInvoice, bool]]:
    """Return payable invoices without a try announced since then, the oldest first; with each, if one was made before.

    If a dispute holds what the last try left out, a further try comes as that ends.
    """
    rows = await connection.fetch(LOAD_LEFT, customer_id, since)
    return [(OpenInvoice(*tuple(row)[:-1]), row["tried"]) for row in rows]
