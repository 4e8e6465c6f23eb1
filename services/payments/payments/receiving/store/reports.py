"""The day's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg

from contracts.calendar import start_of

ACCOUNTS = """
SELECT e.currency, e.account, coalesce(sum(e.amount) FILTER (WHERE t.effective_on < $1), 0)::bigint AS opening,
    coalesce(sum(e.amount), 0)::bigint AS closing,
    coalesce(sum(e.amount) FILTER (WHERE t.effective_on = $1 AND t.kind = 'charge'), 0)::bigint AS charges,
    coalesce(sum(e.amount) FILTER (WHERE t.effective_on = $1 AND t.kind = 'receipt'), 0)::bigint AS receipts,
    coalesce(sum(e.amount) FILTER (WHERE t.effective_on = $1 AND t.kind IN ('reversal', 'refund_failed')), 0)::bigint AS reversals,
    coalesce(sum(e.amount) FILTER (WHERE t.effective_on = $1 AND t.kind IN ('dispute', 'dispute_won')), 0)::bigint AS disputes,
    coalesce(sum(e.amount) FILTER (WHERE t.effective_on = $1 AND t.kind IN ('payout', 'payout_fee', 'payout_failed')), 0)::bigint AS payouts
FROM ledger_transactions t JOIN ledger_entries e ON e.transaction_id = t.id
WHERE t.effective_on <= $1 AND t.booked_at <= $2 GROUP BY 1, 2 ORDER BY 1, 2
"""


# For each level, the money that the next level does not have yet.
LEVELS = """
SELECT currency, sum(waiting)::bigint AS waiting, sum(not_paid_out)::bigint AS not_paid_out,
    sum(not_in_bank)::bigint AS not_in_bank, sum(unconfirmed)::bigint AS unconfirmed
FROM (
    SELECT currency, amount + surcharge AS waiting, 0 AS not_paid_out, 0 AS not_in_bank, 0 AS unconfirmed FROM payments
    WHERE way = 'collect' AND reconciliation IN ('waiting', 'mismatch', 'exception') AND status IN ('succeeded', 'processing', 'unknown')
    UNION ALL
    SELECT p.currency, 0, p.amount + p.surcharge - p.reversed - p.disputed
        - coalesce((SELECT sum(l.amount) FROM payout_lines l WHERE l.charge_id = p.provider_id), 0), 0, 0
    FROM payments p WHERE p.way = 'collect' AND p.reconciliation = 'matched' AND p.effective_on <= $1
    UNION ALL
    SELECT currency, 0, 0, amount, 0 FROM payouts WHERE state = 'paid' AND bank_line_id IS NULL AND arrives_on <= $1
    UNION ALL
    SELECT currency, 0, 0, 0, amount FROM payments WHERE way = 'receive' AND bank_line_id IS NULL AND received_on <= $1
        AND going_back < amount
) open GROUP BY 1
"""


# Exceptions that were open at the end of the day, as known then, with the amounts that they have now.
OPEN = """
SELECT currency, class, count(*) AS n, sum(amount)::bigint AS amount FROM exceptions
WHERE created_at < $1 AND created_at <= $2 AND (state = 'open' OR resolved_at >= $1 OR resolved_at > $2) GROUP BY 1, 2
"""


async def daily_report(connection: asyncpg.Connection, day: date, known_at: datetime, zone: str) -> dict[str, Any]:
    """Return for each currency the ledger's accounts, the open ends as of now, and the open exceptions by class.

    Bookings, openings and resolutions after `known_at` do not count.
    """
    day_after = start_of(day + timedelta(days=1), zone)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL enable_seqscan = on")  # off elsewhere; here whole tables are read
        accounts = await connection.fetch(ACCOUNTS, day, known_at)
        levels = {row["currency"]: row for row in await connection.fetch(LEVELS, day)}
        waiting = await connection.fetch(OPEN, day_after, known_at)
    currencies = sorted({row["currency"] for row in accounts} | set(levels) | {row["currency"] for row in waiting})
    found = [_of_currency(each, accounts, levels.get(each), waiting) for each in currencies]
    return {"date": day, "known_at": known_at, "currencies": found}


MOVES = ("charges", "receipts", "reversals", "disputes", "payouts")


ENDS = ("waiting", "not_paid_out", "not_in_bank", "unconfirmed")


def _of_currency(
    currency: str, accounts: Sequence[Any], ends: Mapping[str, Any] | None, waiting: Sequence[Any]
) -> dict[str, Any]:
    mine = [row for row in accounts if row["currency"] == currency]
    unclear = [row for row in waiting if row["currency"] == currency]
    return {
        "currency": currency,
        "accounts": [
            {"account": row["account"], **{f"{name}_minor": row[name] for name in ("opening", *MOVES, "closing")}}
            for row in mine
        ],
        "sum_minor": sum(row["closing"] for row in mine),
        "open_ends": {f"{name}_minor": ends[name] if ends else 0 for name in ENDS},
        "open_exceptions": {row["class"]: row["n"] for row in unclear},
        "open_exception_sums": {row["class"]: {"n": row["n"], "amount_minor": row["amount"]} for row in unclear},
    }
