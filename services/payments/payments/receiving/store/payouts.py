"""Payouts of the provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from chassis.messaging.work import Work
from contracts.money import Money
from payments import ledger
from payments.ledger import Posting
from payments.providers import Payout, PayoutLine
from payments.receiving.domain.payouts import Movement
from payments.receiving.domain.transfers import Transfer
from payments.receiving.store.bank import TRANSFER, transfer_of
from payments.setbacks.store import in_turn
from payments.sql import columns_of


@dataclass(frozen=True, slots=True)
class LastRead:
    """A payout as it was last read. `booked`: its money is in the ledger's bank account. `was`: its state before."""

    provider_id: str
    state: str
    booked: bool
    look_at: datetime | None
    was: str | None = None
    bank_fee: int = 0


async def newest_payout(connection: asyncpg.Connection) -> str | None:
    sql = "SELECT provider_id FROM payouts ORDER BY created_at DESC, provider_id DESC LIMIT 1"
    found: str | None = await connection.fetchval(sql)
    return found


async def payouts_to_look_at(connection: asyncpg.Connection, now: datetime, limit: int) -> list[LastRead]:
    sql = f"""SELECT provider_id, state, booked, look_at FROM payouts p WHERE look_at <= $1
        AND {in_turn("read-payouts", "p.provider_id")} ORDER BY look_at LIMIT $2"""  # noqa: S608
    return [LastRead(*row) for row in await connection.fetch(sql, now, limit)]


async def look_now(work: Work, payout_ids: Sequence[str]) -> None:
    """Let the job read these payouts again, if they were read before, however old they are."""
    await work.connection.execute(
        "UPDATE payouts SET look_at = $2 WHERE provider_id = ANY($1::text[])", payout_ids, work.now
    )


# The provider's records are read at one moment and saved at another. So a payout that has ended stays so, whatever an older record
# says. If `look_now` marks a payout while it is being read, it is read again.
KEEP_PAYOUT = """
INSERT INTO payouts AS p (provider_id, state, currency, amount, arrives_on, trace, created_at, look_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (provider_id) DO UPDATE SET
    state = CASE WHEN p.state IN ('failed', 'cancelled') OR p.state = 'paid' AND excluded.state IN ('pending', 'in_transit')
        THEN p.state ELSE excluded.state END,
    arrives_on = CASE WHEN p.booked THEN p.arrives_on ELSE excluded.arrives_on END,
    trace = coalesce(excluded.trace, p.trace),
    look_at = CASE WHEN p.look_at IS DISTINCT FROM $9 THEN p.look_at ELSE excluded.look_at END
RETURNING provider_id, state, booked, look_at, (SELECT state FROM payouts WHERE provider_id = $1) AS was,
    bank_fee
"""
# A payout that was paid may still fail, for some banking days.
LOOK_AGAIN = {"pending": timedelta(minutes=1), "in_transit": timedelta(minutes=1), "paid": timedelta(days=1)}
MAY_STILL_FAIL = timedelta(days=10)


async def keep_payout(work: Work, payout: Payout, looked_at: datetime | None) -> LastRead:
    """Save a payout as the provider has it, and lock its row, so that it is booked once. `looked_at`: its `look_at` before."""
    pause = LOOK_AGAIN.get(payout.state)
    settled = payout.state == "paid" and work.now - payout.created_at > MAY_STILL_FAIL
    look_at = work.now + pause if pause and not settled else None
    values = (payout.provider_id, payout.state, payout.currency, payout.amount_minor, payout.arrives_on, payout.trace)
    row = await work.connection.fetchrow(KEEP_PAYOUT, *values, payout.created_at, look_at, looked_at)
    return LastRead(*row)


TAKE_FROM = f"""
WITH held AS (
    SELECT p.provider_id, {columns_of("l", TRANSFER)}
    FROM payouts p JOIN bank_lines l ON l.id = p.bank_line_id WHERE p.provider_id = $1
), taken AS (
    UPDATE payouts p SET bank_line_id = NULL FROM held WHERE p.provider_id = held.provider_id
)
SELECT * FROM held
"""  # noqa: S608


async def take_from(work: Work, payout_id: str) -> Transfer | None:
    """Unlink a payout's bank line, and return its transfer; None if it had no bank line."""
    row = await work.connection.fetchrow(TAKE_FROM, payout_id)
    return transfer_of(row) if row else None


async def lock_payout(work: Work, payout_id: str) -> asyncpg.Record | None:
    sql = "SELECT state, currency, amount, booked, bank_line_id FROM payouts WHERE provider_id = $1 FOR NO KEY UPDATE"
    return await work.connection.fetchrow(sql, payout_id)


async def lines_known(connection: asyncpg.Connection, line_ids: Sequence[str]) -> set[str]:
    """Return which of the lines were booked with an earlier payout."""
    sql = "SELECT provider_id FROM payout_lines WHERE provider_id = ANY($1::text[])"
    return {row["provider_id"] for row in await connection.fetch(sql, line_ids)}


ADD_PAYOUT_LINES = """
INSERT INTO payout_lines (provider_id, payout_id, kind, charge_id, amount, fee, net, at)
SELECT p.id, $1, p.kind, p.charge_id, p.amount, p.fee, p.net, p.at
FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[])
    AS p (id, kind, charge_id, amount, fee, net, at)
ON CONFLICT DO NOTHING
"""


async def add_payout_lines(work: Work, payout_id: str, lines: Sequence[PayoutLine]) -> None:
    await work.connection.execute(
        ADD_PAYOUT_LINES, payout_id, [each.provider_id for each in lines], [each.kind for each in lines],
        [each.charge_id for each in lines], [each.amount_minor for each in lines], [each.fee_minor for each in lines],
        [each.net_minor for each in lines], [each.at for each in lines],
    )  # fmt: skip


async def load_charged(connection: asyncpg.Connection, charge_ids: Sequence[str]) -> dict[str, Money]:
    """Return the totals of payments here, by the provider's id of the charge."""
    sql = "SELECT provider_id, currency, amount + surcharge AS total FROM payments WHERE provider_id = ANY($1::text[])"
    rows = await connection.fetch(sql, charge_ids)
    return {row["provider_id"]: Money(row["total"], row["currency"]) for row in rows}


BOOK_PAYOUT = f"""
WITH {ledger.booking(4)}
UPDATE payouts SET booked = $2, bank_fee = $3 WHERE provider_id = $1
"""  # noqa: S608


async def book_payout(work: Work, posting: Posting) -> None:
    """Book a payout, the bank's fee of it, or its return. After its return it counts as not booked."""
    fees = sum(money.minor for account, money in posting.entries if account == "fees")
    kept = fees if posting.kind == "payout_fee" else 0
    booked = posting.kind != "payout_failed"
    arguments = ledger.booking_arguments([posting], work.now)
    await work.connection.execute(BOOK_PAYOUT, posting.payout_id, booked, kept, *arguments)


def movement_of(line: PayoutLine) -> Movement:
    money, fee = Money(line.amount_minor, line.currency), Money(line.fee_minor, line.currency)
    return Movement(line.provider_id, line.kind, line.charge_id, money, fee)


# --- the daily report
