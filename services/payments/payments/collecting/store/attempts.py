"""Calls to the provider, and polls of its records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from chassis.messaging.work import Work
from contracts.money import Money
from payments.collecting.domain.payments import LONGEST_POLL, Attempt
from payments.setbacks.store import in_turn

ATTEMPT = "id, payment_id, provider_customer, provider_method, amount, currency, begun_at, return_url, calls"


def attempt_of(row: Mapping[str, Any]) -> Attempt:
    money = Money(row["amount"], row["currency"])
    return Attempt(
        row["id"],
        row["payment_id"],
        row["provider_customer"],
        row["provider_method"],
        money,
        row["begun_at"],
        row["return_url"],
        row["calls"],
    )


CLAIM_ATTEMPTS = f"""
UPDATE attempts SET calls = calls + 1, call_after = now() + interval '15 seconds'
WHERE id IN (
    SELECT id FROM attempts WHERE state = 'begun' AND call_after <= now() ORDER BY call_after LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING {ATTEMPT}
"""  # noqa: S608


async def claim_attempts(connection: asyncpg.Connection, limit: int) -> list[Attempt]:
    """Lease due calls for 15 s of real time (a call takes 10 s at most). After that, another process may take them."""
    return [attempt_of(row) for row in await connection.fetch(CLAIM_ATTEMPTS, limit)]


async def call_again(work: Work, attempt_id: str, after: timedelta) -> None:
    """Put a call off by real time."""
    await work.connection.execute(
        "UPDATE attempts SET call_after = now() + $2 WHERE id = $1 AND state = 'begun'", attempt_id, after
    )


CLAIM_POLLS = """
UPDATE payments SET polls = polls + 1, next_poll_at = $1 + interval '1 second' * least(2 ^ least(polls + 1, 10), $3)
WHERE id IN (
    SELECT id FROM payments WHERE next_poll_at <= $1 AND provider_id IS NOT NULL ORDER BY next_poll_at LIMIT $2
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id, provider_id
"""


async def claim_polls(connection: asyncpg.Connection, now: datetime, limit: int) -> list[tuple[str, str]]:
    """Return payment and provider ids whose record is due. Each is put off at once, by 2, 4, 8 … seconds."""
    rows = await connection.fetch(CLAIM_POLLS, now, limit, LONGEST_POLL.total_seconds())
    return [(row["id"], row["provider_id"]) for row in rows]


async def next_poll(connection: asyncpg.Connection, now: datetime) -> float | None:
    """Return the seconds until the next payment's record is due; None if no payment waits."""
    sql = """SELECT extract(epoch FROM next_poll_at - $1)::float8 FROM payments
        WHERE next_poll_at IS NOT NULL AND provider_id IS NOT NULL ORDER BY next_poll_at LIMIT 1"""
    seconds: float | None = await connection.fetchval(sql, now)
    return seconds


async def payments_to_end(connection: asyncpg.Connection, now: datetime, limit: int) -> list[tuple[str, str]]:
    """Return payment and provider ids whose payer did not act in time, or gave up; without those that were put off."""
    sql = f"""SELECT id, provider_id FROM payments p WHERE act_by <= $1 AND {in_turn("end-unconfirmed", "p.id")}
        ORDER BY act_by LIMIT $2"""  # noqa: S608
    return [(row["id"], row["provider_id"]) for row in await connection.fetch(sql, now, limit)]


async def payments_overdue(connection: asyncpg.Connection, today: date, limit: int) -> list[str]:
    sql = f"""SELECT id FROM payments p WHERE reconciliation = 'waiting' AND expected_by < $1
        AND {in_turn("notice-overdue", "p.id")} ORDER BY expected_by LIMIT $2"""  # noqa: S608
    return [row["id"] for row in await connection.fetch(sql, today, limit)]
