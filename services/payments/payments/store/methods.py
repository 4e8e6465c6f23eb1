"""Ways to pay, as the provider keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from chassis.messaging.work import Work
from payments.domain import Method, OpenInvoice
from payments.store.projections import INVOICE, columns_of
from payments.store.setbacks import in_turn

KEPT = """id, customer_id, provider_id, kind, funding, brand, last4, exp_year, exp_month, country, state, postal_code, saved,
    is_default, verification, disabled_at, disabled_reason, removed_at, sequence, setup_reference"""
KEPT_WIDTH = 20
# A method for one payment is used up by one that did not end without money.
USED = """CASE WHEN m.saved THEN false ELSE EXISTS (SELECT FROM payments u WHERE u.method_id = m.id
    AND u.status NOT IN ('declined', 'cancelled', 'expired')) END"""
METHOD = f"{columns_of('m', KEPT)}, {USED}"
METHOD_WIDTH = KEPT_WIDTH + 1


def method_of(row: Sequence[Any]) -> Method:
    """From the first columns of a row, as METHOD or KEPT names them."""
    return Method(*tuple(row)[:METHOD_WIDTH])


async def find_provider_customer(connection: asyncpg.Connection, customer_id: str) -> str | None:
    sql = "SELECT provider_id FROM provider_customers WHERE customer_id = $1"
    found: str | None = await connection.fetchval(sql, customer_id)
    return found


async def keep_provider_customer(connection: asyncpg.Connection, customer_id: str, provider_id: str) -> None:
    sql = "INSERT INTO provider_customers (customer_id, provider_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await connection.execute(sql, customer_id, provider_id)


async def lock_customer(work: Work, customer_id: str) -> bool:
    """Changes of a customer's methods and autopay wait for each other; False when the customer is unknown."""
    sql = "SELECT true FROM customers WHERE id = $1 FOR NO KEY UPDATE"
    return bool(await work.connection.fetchval(sql, customer_id))


async def add_method(work: Work, method: Method, setup_id: str | None = None) -> None:
    places = ", ".join(f"${place}" for place in range(1, KEPT_WIDTH + 1))
    now, setup = f"${KEPT_WIDTH + 1}", f"${KEPT_WIDTH + 2}"
    sql = f"INSERT INTO methods ({KEPT}, terms_accepted_at, created_at, setup_id) VALUES ({places}, {now}, {now}, {setup})"  # noqa: S608
    await work.connection.execute(sql, *_values(method), work.now, setup_id)


def _values(method: Method) -> tuple[Any, ...]:
    return tuple(getattr(method, name.strip()) for name in KEPT.split(","))


async def list_methods(connection: asyncpg.Connection, customer_id: str) -> list[Method]:
    """Saved ones that were not removed, the default first."""
    sql = f"""SELECT {METHOD} FROM methods m WHERE customer_id = $1 AND saved AND removed_at IS NULL
        ORDER BY is_default DESC, created_at, id LIMIT 100"""  # noqa: S608
    return [method_of(row) for row in await connection.fetch(sql, customer_id)]


async def load_method(connection: asyncpg.Connection, customer_id: str, method_id: str) -> Method | None:
    sql = f"SELECT {METHOD} FROM methods m WHERE m.id = $1 AND m.customer_id = $2"  # noqa: S608
    row = await connection.fetchrow(sql, method_id, customer_id)
    return method_of(row) if row else None


async def lock_methods(work: Work, customer_id: str) -> list[Method]:
    """All of a customer's that were not removed."""
    sql = f"""SELECT {METHOD} FROM methods m WHERE m.customer_id = $1 AND m.removed_at IS NULL ORDER BY m.id
        FOR NO KEY UPDATE OF m"""  # noqa: S608
    return [method_of(row) for row in await work.connection.fetch(sql, customer_id)]


async def lock_methods_by_id(work: Work, ids: Sequence[str]) -> dict[str, Method]:
    sql = f"SELECT {METHOD} FROM methods m WHERE m.id = ANY($1::uuid[]) ORDER BY m.id FOR NO KEY UPDATE OF m"  # noqa: S608
    return {row["id"]: method_of(row) for row in await work.connection.fetch(sql, sorted(set(ids)))}


SAVE_METHOD = """
UPDATE methods SET is_default = $2, verification = $3, disabled_at = $4, disabled_reason = $5, removed_at = $6, sequence = $7,
    detach_after = CASE WHEN removed_at IS NULL AND $6::timestamptz IS NOT NULL THEN now() ELSE detach_after END
WHERE id = $1
"""


async def save_method(work: Work, method: Method) -> None:
    """A method as a change leaves it. Once it is removed, the provider is to forget it."""
    await work.connection.execute(
        SAVE_METHOD, method.id, method.is_default, method.verification, method.disabled_at, method.disabled_reason,
        method.removed_at, method.sequence,
    )  # fmt: skip


async def method_needed(connection: asyncpg.Connection, method_id: str) -> tuple[bool, bool]:
    """Whether autopay needs a method, and whether a payment by it is under way."""
    sql = """SELECT EXISTS (SELECT FROM autopay WHERE method_id = $1 AND enabled)
        OR EXISTS (SELECT FROM autopay WHERE currency_methods @> ARRAY[$1::uuid] AND enabled), EXISTS (SELECT FROM payments
        WHERE method_id = $1 AND status NOT IN ('succeeded', 'declined', 'cancelled', 'expired'))"""
    row = await connection.fetchrow(sql, method_id)
    return row[0], row[1]


CLAIM_DETACHES = """
UPDATE methods SET detach_calls = detach_calls + 1, detach_after = now() + interval '1 second' * least(2 ^ least(detach_calls + 4, 12), 3600)
WHERE id IN (
    SELECT m.id FROM methods m WHERE m.detach_after <= now() AND NOT EXISTS (SELECT FROM payments p WHERE p.method_id = m.id
        AND p.status NOT IN ('succeeded', 'declined', 'cancelled', 'expired'))
    ORDER BY m.detach_after LIMIT $1 FOR NO KEY UPDATE OF m SKIP LOCKED
)
RETURNING id, provider_id
"""


async def claim_detaches(connection: asyncpg.Connection, limit: int) -> list[tuple[str, str]]:
    """Ids, ours and the provider's, of removed methods that it is to forget; each is put off, 16 s to an hour.

    Not while a payment by it is under way: one may have been confirmed in the moment of the removal.
    """
    return [(row["id"], row["provider_id"]) for row in await connection.fetch(CLAIM_DETACHES, limit)]


async def detached(connection: asyncpg.Connection, method_id: str, now: datetime) -> None:
    await connection.execute("UPDATE methods SET detached_at = $2, detach_after = NULL WHERE id = $1", method_id, now)


USED_UP = f"""
SELECT m.id FROM methods m WHERE NOT m.saved AND m.removed_at IS NULL AND EXISTS (
    SELECT FROM payments p WHERE p.method_id = m.id AND p.status = 'succeeded') AND {in_turn("detach-methods", "m.id")}
ORDER BY m.id LIMIT $1
"""  # noqa: S608


async def used_up(connection: asyncpg.Connection, limit: int) -> list[str]:
    """Methods for one payment, which has succeeded; none that was put off."""
    return [row["id"] for row in await connection.fetch(USED_UP, limit)]


async def load_wished(
    connection: asyncpg.Connection, method_id: str | None, customer_id: str, invoice_ids: Sequence[str]
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """The customer's method, and those of the invoices that are known, in one round trip."""
    sql = f"""SELECT {METHOD}, {columns_of("i", INVOICE)} FROM (SELECT) one
        LEFT JOIN methods m ON m.id = $1 AND m.customer_id = $2
        LEFT JOIN invoices i ON i.id = ANY($3::uuid[]) AND i.customer_id = $2"""  # noqa: S608
    return _method_and_invoices(await connection.fetch(sql, method_id, customer_id, invoice_ids))


async def load_payable(
    connection: asyncpg.Connection, method_id: str | None, customer_id: str, currency: str, limit: int
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """The customer's method, and the oldest of its invoices that can be paid now, in one round trip."""
    sql = f"""SELECT {METHOD}, {columns_of("i", INVOICE)} FROM (SELECT) one
        LEFT JOIN methods m ON m.id = $1 AND m.customer_id = $2
        LEFT JOIN LATERAL (
            SELECT {INVOICE} FROM invoices WHERE customer_id = $2 AND currency = $3 AND payable_now > 0
            ORDER BY due_on, issued_on, number LIMIT $4
        ) i ON true"""  # noqa: S608
    return _method_and_invoices(await connection.fetch(sql, method_id, customer_id, currency, limit))


def _method_and_invoices(rows: Sequence[asyncpg.Record]) -> tuple[Method | None, dict[str, OpenInvoice]]:
    method = method_of(tuple(rows[0])) if rows[0][0] is not None else None
    invoices = [OpenInvoice(*tuple(row)[METHOD_WIDTH:]) for row in rows if tuple(row)[METHOD_WIDTH] is not None]
    return method, {invoice.id: invoice for invoice in invoices}


# --- the provider's own page


@dataclass(frozen=True, slots=True)
class Setup:
    """A visit to the provider's page; `method_id` once it led to a method."""

    id: str
    customer_id: str
    provider_id: str | None
    url: str | None
    saved: bool
    state: str
    reason: str | None
    method_id: str | None


SETUP = "id, customer_id, provider_id, url, saved, state, reason, method_id"


def _setup_of(row: Mapping[str, Any]) -> Setup:
    return Setup(*(row[name.strip()] for name in SETUP.split(",")))


async def begin_setup(
    work: Work, setup_id: str, customer_id: str, return_url: str, kinds: Sequence[str], *, saved: bool
) -> None:
    sql = """INSERT INTO method_setups (id, customer_id, return_url, kinds, saved, state, created_at)
        VALUES ($1, $2, $3, $4, $5, 'begun', $6)"""
    await work.connection.execute(sql, setup_id, customer_id, return_url, kinds, saved, work.now)


async def open_setup(connection: asyncpg.Connection, setup_id: str, provider_id: str, url: str) -> None:
    """Its page is there: from now on it is looked at."""
    sql = """UPDATE method_setups SET provider_id = $2, url = $3, state = 'open', look_after = now() + interval '5 seconds'
        WHERE id = $1 AND state = 'begun'"""
    await connection.execute(sql, setup_id, provider_id, url)


async def load_setup(connection: asyncpg.Connection, setup_id: str, only: str | None) -> Setup | None:
    sql = f"SELECT {SETUP} FROM method_setups WHERE id = $1 AND ($2::uuid IS NULL OR customer_id = $2)"  # noqa: S608
    row = await connection.fetchrow(sql, setup_id, only)
    return _setup_of(row) if row else None


async def find_setup(connection: asyncpg.Connection, provider_id: str) -> Setup | None:
    row = await connection.fetchrow(f"SELECT {SETUP} FROM method_setups WHERE provider_id = $1", provider_id)  # noqa: S608
    return _setup_of(row) if row else None


async def lock_setup(work: Work, setup_id: str) -> Setup | None:
    row = await work.connection.fetchrow(f"SELECT {SETUP} FROM method_setups WHERE id = $1 FOR UPDATE", setup_id)  # noqa: S608
    return _setup_of(row) if row else None


async def end_setup(
    work: Work, setup_id: str, state: str, *, reason: str | None = None, method_id: str | None = None
) -> None:
    """`complete`, `failed` or `expired`: it is not looked at any more."""
    sql = "UPDATE method_setups SET state = $2, reason = $3, method_id = $4, look_after = NULL WHERE id = $1"
    await work.connection.execute(sql, setup_id, state, reason, method_id)


CLAIM_SETUPS = f"""
UPDATE method_setups SET looks = looks + 1, look_after = now() + interval '1 second' * least(5 * 2 ^ least(looks, 6), 300)
WHERE id IN (SELECT id FROM method_setups WHERE look_after <= now() ORDER BY look_after LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING {SETUP}
"""  # noqa: S608


async def claim_setups(connection: asyncpg.Connection, limit: int) -> list[Setup]:
    """Open ones to be looked at, each put off: 5 s to 5 minutes."""
    return [_setup_of(row) for row in await connection.fetch(CLAIM_SETUPS, limit)]


async def method_of_provider(connection: asyncpg.Connection, provider_id: str) -> str | None:
    found: str | None = await connection.fetchval("SELECT id FROM methods WHERE provider_id = $1", provider_id)
    return found
