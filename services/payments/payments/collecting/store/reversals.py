"""Money that goes back: refunds, bank returns, chargebacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from contracts.money import Money
from payments.collecting.domain.payments import Reversal
from payments.sql import columns_of

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
INSERT INTO reversals AS r ({REVERSAL})
SELECT v.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::bigint[],
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


async def load_refund_call(connection: Reads, reversal_id: str) -> RefundCall | None:
    """Load a refund that the provider has not been asked for, or has not answered; None if it has."""
    sql = f"""SELECT {columns_of("r", REVERSAL)}, p.provider_id AS charge_id
        FROM reversals r JOIN payments p ON p.id = r.payment_id WHERE r.id = $1 AND r.state = 'requested'"""  # noqa: S608
    row = await connection.fetchrow(sql, reversal_id)
    return RefundCall(reversal_of(row), row["charge_id"]) if row else None
