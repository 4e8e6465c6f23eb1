"""Payment methods, and customers' ids at the provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from payments.methods.domain.methods import Method
from payments.setbacks.store import in_turn
from payments.sql import columns_of

KEPT = """id, customer_id, provider_id, kind, funding, brand, last4, exp_year, exp_month, country, state, postal_code, saved,
    is_default, verification, disabled_at, disabled_reason, removed_at, sequence, setup_reference"""
KEPT_WIDTH = 20
# A method for one payment is used up by a payment, unless that one ended without money.
USED = """CASE WHEN m.saved THEN false ELSE EXISTS (SELECT FROM payments u WHERE u.method_id = m.id
    AND u.status NOT IN ('declined', 'cancelled', 'expired')) END"""
METHOD = f"{columns_of('m', KEPT)}, {USED}"
METHOD_WIDTH = KEPT_WIDTH + 1


def method_of(row: Sequence[Any]) -> Method:
    """Make a method from the first columns of a row, in the order of METHOD or KEPT."""
    return Method(*tuple(row)[:METHOD_WIDTH])


async def find_provider_customer(connection: Reads, customer_id: str) -> str | None:
    sql = "SELECT provider_id FROM provider_customers WHERE customer_id = $1"
    found: str | None = await connection.fetchval(sql, customer_id)
    return found


async def keep_provider_customer(connection: asyncpg.Connection, customer_id: str, provider_id: str) -> None:
    sql = "INSERT INTO provider_customers (customer_id, provider_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await connection.execute(sql, customer_id, provider_id)


async def add_method(work: Work, method: Method, setup_id: str | None = None) -> None:
    places = ", ".join(f"${place}" for place in range(1, KEPT_WIDTH + 1))
    now, setup = f"${KEPT_WIDTH + 1}", f"${KEPT_WIDTH + 2}"
    sql = f"INSERT INTO methods ({KEPT}, terms_accepted_at, created_at, setup_id) VALUES ({places}, {now}, {now}, {setup})"  # noqa: S608
    await work.connection.execute(sql, *_values(method), work.now, setup_id)


def _values(method: Method) -> tuple[Any, ...]:
    return tuple(getattr(method, name.strip()) for name in KEPT.split(","))


async def list_methods(connection: Reads, customer_id: str) -> list[Method]:
    """List saved methods that were not removed, the default first."""
    sql = f"""SELECT {METHOD} FROM methods m WHERE customer_id = $1 AND saved AND removed_at IS NULL
        ORDER BY is_default DESC, created_at, id LIMIT 100"""  # noqa: S608
    return [method_of(row) for row in await connection.fetch(sql, customer_id)]


async def load_method(connection: Reads, customer_id: str, method_id: str) -> Method | None:
    sql = f"SELECT {METHOD} FROM methods m WHERE m.id = $1 AND m.customer_id = $2"  # noqa: S608
    row = await connection.fetchrow(sql, method_id, customer_id)
    return method_of(row) if row else None


async def load_methods(connection: Reads, ids: Sequence[str]) -> dict[str, Method]:
    sql = f"SELECT {METHOD} FROM methods m WHERE m.id = ANY($1::uuid[])"  # noqa: S608
    return {row["id"]: method_of(tuple(row)) for row in await connection.fetch(sql, sorted(set(ids)))}


async def lock_methods(work: Work, customer_id: str) -> list[Method]:
    """Lock all methods of a customer that were not removed."""
    sql = f"""SELECT {METHOD} FROM methods m WHERE m.customer_id = $1 AND m.removed_at IS NULL ORDER BY m.id
        FOR NO KEY UPDATE OF m"""  # noqa: S608
    return [method_of(row) for row in await work.connection.fetch(sql, customer_id)]


async def lock_methods_by_id(work: Work, ids: Sequence[str]) -> dict[str, Method]:
    sql = f"SELECT {METHOD} FROM methods m WHERE m.id = ANY($1::uuid[]) ORDER BY m.id FOR NO KEY UPDATE OF m"  # noqa: S608
    return {row["id"]: method_of(row) for row in await work.connection.fetch(sql, sorted(set(ids)))}


SAVE_METHOD = """
UPDATE methods SET is_default = $2, verification = $3, disabled_at = $4, disabled_reason = $5, removed_at = $6, sequence = $7
WHERE id = $1
"""


async def save_method(work: Work, method: Method) -> None:
    """Save a changed method."""
    await work.connection.execute(
        SAVE_METHOD, method.id, method.is_default, method.verification, method.disabled_at, method.disabled_reason,
        method.removed_at, method.sequence,
    )  # fmt: skip


async def method_needed(connection: asyncpg.Connection, method_id: str) -> tuple[bool, bool]:
    """Return whether autopay needs a method, and whether a payment by it is under way."""
    sql = """SELECT EXISTS (SELECT FROM autopay WHERE method_id = $1 AND enabled)
        OR EXISTS (SELECT FROM autopay WHERE currency_methods @> ARRAY[$1::uuid] AND enabled), EXISTS (SELECT FROM payments
        WHERE method_id = $1 AND status NOT IN ('succeeded', 'declined', 'cancelled', 'expired'))"""
    row = await connection.fetchrow(sql, method_id)
    return row[0], row[1]


@dataclass(frozen=True, slots=True)
class Detaching:
    """A removed method that the provider must forget; `in_use`: a payment by it is under way."""

    provider_id: str
    in_use: bool


async def load_detaching(connection: asyncpg.Connection, method_id: str) -> Detaching | None:
    """None once the provider has forgotten it."""
    sql = """SELECT m.provider_id, EXISTS (SELECT FROM payments p WHERE p.method_id = m.id
        AND p.status NOT IN ('succeeded', 'declined', 'cancelled', 'expired')) AS in_use
        FROM methods m WHERE m.id = $1 AND m.removed_at IS NOT NULL AND m.detached_at IS NULL"""
    row = await connection.fetchrow(sql, method_id)
    return Detaching(row["provider_id"], row["in_use"]) if row else None


async def detached(connection: asyncpg.Connection, method_id: str, now: datetime) -> None:
    await connection.execute("UPDATE methods SET detached_at = $2 WHERE id = $1", method_id, now)


USED_UP = f"""
SELECT m.id FROM methods m WHERE NOT m.saved AND m.removed_at IS NULL AND EXISTS (
    SELECT FROM payments p WHERE p.method_id = m.id AND p.status = 'succeeded') AND {in_turn("remove-used-up", "m.id")}
ORDER BY m.id LIMIT $1
"""  # noqa: S608


async def used_up(connection: asyncpg.Connection, limit: int) -> list[str]:
    """Return methods for one payment whose payment has succeeded, without those that were put off."""
    return [row["id"] for row in await connection.fetch(USED_UP, limit)]


# --- the provider's own page


async def method_of_provider(connection: asyncpg.Connection, provider_id: str) -> str | None:
    found: str | None = await connection.fetchval("SELECT id FROM methods WHERE provider_id = $1", provider_id)
    return found
