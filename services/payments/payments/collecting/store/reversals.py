"""Money that goes back: refunds, bank returns, chargebacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from contracts.money import Money
from payments.collecting.domain.payments import Reversal

REVERSAL = """id, payment_id, customer_id, kind, state, currency, amount, surcharge, created_at, code, reason, provider_id,
    effective_on, part"""


def reversal_of(row: Mapping[str, Any]) -> Reversal:
    currency = row["currency"]
    return Reversal(
        row["id"], row["payment_id"], row["customer_id"], row["kind"], row["state"], Money(row["amount"], currency),
        Money(row["surcharge"], currency), row["created_at"], row["code"], row["reason"], row["provider_id"],
        row["effective_on"], row["part"],
    )  # fmt: skip


async def load_reversals(connection: Reads, payment_ids: Sequence[str]) -> list[Reversal]:
    """Load reversals, oldest first. Whoever changes one must hold its payment's row."""
    sql = f"SELECT {REVERSAL} FROM reversals WHERE payment_id = ANY($1::uuid[]) ORDER BY created_at, id"  # noqa: S608
    return [reversal_of(row) for row in await connection.fetch(sql, payment_ids)]


SAVE_REVERSALS = f"""
INSERT INTO reversals AS r ({REVERSAL}, call_after)
SELECT v.*, now() FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[],
    $8::bigint[], $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::date[], $14::int[]) AS v
ON CONFLICT (id) DO UPDATE SET state = excluded.state, code = excluded.code, provider_id = excluded.provider_id,
    effective_on = excluded.effective_on
"""  # noqa: S608


async def save_reversals(work: Work, reversals: Sequence[Reversal]) -> None:
    ordered = sorted(reversals, key=lambda each: each.id)
    await work.connection.execute(
        SAVE_REVERSALS,
        [r.id for r in ordered], [r.payment_id for r in ordered], [r.customer_id for r in ordered],
        [r.kind for r in ordered], [r.state for r in ordered], [r.amount.currency for r in ordered],
        [r.amount.minor for r in ordered], [r.surcharge.minor for r in ordered], [r.created_at for r in ordered],
        [r.code for r in ordered], [r.reason for r in ordered], [r.provider_id for r in ordered],
        [r.effective_on for r in ordered], [r.part for r in ordered],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RefundCall:
    """A refund to request at the provider. `charge_id` is the provider's id of the charge."""

    reversal: Reversal
    charge_id: str
    calls: int


CLAIM_REFUNDS = f"""
WITH due AS (
    UPDATE reversals SET calls = calls + 1, call_after = now() + interval '15 seconds'
    WHERE id IN (
        SELECT id FROM reversals WHERE state = 'requested' AND call_after <= now() ORDER BY call_after LIMIT $1
        FOR UPDATE SKIP LOCKED
    )
    RETURNING {REVERSAL}, calls
)
SELECT due.*, p.provider_id AS charge_id FROM due JOIN payments p ON p.id = due.payment_id
"""  # noqa: S608


async def claim_refunds(connection: asyncpg.Connection, limit: int) -> list[RefundCall]:
    """Lease due refunds for 15 s of real time. After that, another process may take them."""
    rows = await connection.fetch(CLAIM_REFUNDS, limit)
    return [RefundCall(reversal_of(row), row["charge_id"], row["calls"]) for row in rows]


async def refund_again(connection: asyncpg.Connection, reversal_id: str, after: timedelta) -> None:
    """Put a call off by real time."""
    sql = "UPDATE reversals SET call_after = now() + $2 WHERE id = $1 AND state = 'requested'"
    await connection.execute(sql, reversal_id, after)
