"""What a customer owes, by days past due."""

from __future__ import annotations

from datetime import date
from typing import Any

from chassis.db.reads import Reads

AGING = """
WITH aged AS (
    SELECT currency, sum(amount) AS outstanding,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on <= 0), 0) AS amount_due,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on BETWEEN 1 AND 30), 0) AS days_0_30,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on BETWEEN 31 AND 60), 0) AS days_31_60,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on BETWEEN 61 AND 90), 0) AS days_61_90,
        coalesce(sum(amount) FILTER (WHERE $2::date - due_on >= 91), 0) AS over_90
    FROM owed_by_day WHERE customer_id = $1 AND effective_on <= $2 GROUP BY currency
), credited AS (
    SELECT currency, sum(amount) AS credits FROM credit_entries
    WHERE customer_id = $1 AND effective_on <= $2 GROUP BY currency
)
SELECT currency, coalesce(outstanding, 0)::bigint AS outstanding_minor, coalesce(amount_due, 0)::bigint AS amount_due_minor,
    coalesce(days_0_30, 0)::bigint AS days_0_30_minor, coalesce(days_31_60, 0)::bigint AS days_31_60_minor,
    coalesce(days_61_90, 0)::bigint AS days_61_90_minor, coalesce(over_90, 0)::bigint AS over_90_minor,
    coalesce(credits, 0)::bigint AS credits_minor,
    (coalesce(outstanding, 0) - coalesce(credits, 0))::bigint AS balance_due_minor
FROM aged FULL JOIN credited USING (currency) ORDER BY currency
"""


async def load_aging(connection: Reads, customer_id: str, as_of: date) -> list[dict[str, Any]]:
    """Minor units per currency by days past due on a day; an entry for each currency booked by then."""
    return [dict(row) for row in await connection.fetch(AGING, customer_id, as_of)]
