"""What every page shows of a customer: sums by currency, counts, the newest invoice, the newest money."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from chassis.db.reads import Reads
from invoicing.store.aging import load_aging
from invoicing.store.lists import BALANCE

# One scan of the open invoices' own index: first summed by what tells them apart, so that little is reckoned for each.
OPEN_SUMS = f"""
WITH sums AS (
    SELECT currency, due_on < $2 AS late, {BALANCE} > pending AS payable, pending > 0 AS held, count(*) AS n,
        sum({BALANCE} - pending) AS left_minor, sum(pending) AS held_minor,
        sum(least(in_dispute, {BALANCE} - pending)) AS disputed, count(*) FILTER (WHERE {BALANCE} - pending > in_dispute) AS n_clear
    FROM invoices WHERE customer_id = $1 AND state = 'open' GROUP BY 1, 2, 3, 4
)
SELECT currency, sum(held_minor)::bigint AS in_progress_minor, sum(left_minor)::bigint AS payable_now_minor,
    sum(disputed)::bigint AS disputed_minor,
    coalesce(sum(n) FILTER (WHERE payable), 0)::bigint AS payable_count,
    coalesce(sum(n) FILTER (WHERE held AND NOT payable), 0)::bigint AS in_progress_count,
    coalesce(sum(n) FILTER (WHERE late AND (held OR payable)), 0)::bigint AS overdue_count,
    coalesce(sum(n_clear) FILTER (WHERE late), 0)::bigint AS overdue_payable_count,
    coalesce(sum(left_minor - disputed) FILTER (WHERE late), 0)::bigint AS overdue_payable_minor
FROM sums GROUP BY currency ORDER BY currency
"""  # noqa: S608
LAST_INVOICE = """
SELECT id, number, issued_on, total AS total_minor, currency FROM invoices
WHERE customer_id = $1 AND state NOT IN ('draft', 'void') ORDER BY issued_on DESC, id DESC LIMIT 1
"""
# What of a payment has not gone back. Payments by credit alone brought no money.
LAST_PAID = """
SELECT payment_id, currency, came_on AS on, came AS amount_minor FROM settlements
CROSS JOIN LATERAL (SELECT credit + coalesce(sum(minor), 0)::bigint AS came FROM unnest(amounts) AS a (minor)) c
WHERE customer_id = $1 AND NOT reversed AND came > 0 ORDER BY came_on DESC, payment_id DESC LIMIT 1
"""


async def load_summary(connection: Reads, customer_id: str, today: date) -> dict[str, Any]:
    """All of the summary but the customer's name."""
    sums = {row["currency"]: dict(row) for row in await connection.fetch(OPEN_SUMS, customer_id, today)}
    aging = {row["currency"]: row for row in await load_aging(connection, customer_id, today)}
    found = [NOTHING | {"currency": one} | aging.get(one, {}) | sums.get(one, {}) for one in sorted({*sums, *aging})]
    counts = {"open": "payable_count", "in_progress": "in_progress_count", "overdue": "overdue_count"}
    last_invoice = await connection.fetchrow(LAST_INVOICE, customer_id)
    last_paid = await connection.fetchrow(LAST_PAID, customer_id)
    return {
        "currencies": found,
        "counts": {name: sum(one[count] for one in found) for name, count in counts.items()},
        "last_invoice": dict(last_invoice) if last_invoice else None,
        "last_paid": dict(last_paid) if last_paid else None,
    }


# Of a page of customers: sums by day, as aging reads them, and what payments under way hold, by their invoices.
BALANCES = """
SELECT c.id AS customer_id, currency, coalesce(outstanding, 0)::bigint AS outstanding_minor,
    coalesce(overdue, 0)::bigint AS overdue_minor, coalesce(held, 0)::bigint AS in_progress_minor
FROM unnest($1::uuid[]) AS c (id) CROSS JOIN LATERAL (
    SELECT * FROM (
        SELECT currency, sum(amount) AS outstanding, sum(amount) FILTER (WHERE due_on < $2) AS overdue
        FROM owed_by_day WHERE customer_id = c.id AND effective_on <= $2 GROUP BY currency
    ) o FULL JOIN (
        SELECT r.currency, sum(amount) AS held
        FROM reservations r CROSS JOIN LATERAL unnest(r.amounts) AS a (amount)
        WHERE r.customer_id = c.id AND r.state = 'placed' GROUP BY r.currency
    ) h USING (currency)
) s WHERE outstanding <> 0 OR held <> 0 ORDER BY 1, 2
"""


async def load_balances(connection: Reads, customer_ids: Sequence[str], today: date) -> dict[str, list[dict[str, Any]]]:
    """What each of these customers owes by currency, where it owes anything."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in await connection.fetch(BALANCES, customer_ids, today) if customer_ids else ():
        one = dict(row)
        found.setdefault(one.pop("customer_id"), []).append(one)
    return found


NOTHING = dict.fromkeys(
    (
        "outstanding_minor", "amount_due_minor", "days_0_30_minor", "days_31_60_minor", "days_61_90_minor",
        "over_90_minor", "credits_minor", "balance_due_minor", "in_progress_minor", "payable_now_minor", "disputed_minor",
        "payable_count", "in_progress_count", "overdue_count", "overdue_payable_count", "overdue_payable_minor",
    ),
    0,
)  # fmt: skip
