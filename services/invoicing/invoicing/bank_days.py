"""Days on which banks work."""

from __future__ import annotations

from datetime import date

from holidays import country_holidays

from contracts.calendar import add_banking_days

COUNTRY = "US"
AFTER_REJECTION = 5


def held_until(rejected_on: date) -> date:
    """The last day on which reminders and autopay wait after a dispute was rejected: the fifth banking day.

    >>> held_until(date(2026, 11, 25)).isoformat()  # Thanksgiving is the next day
    '2026-12-03'
    """
    years = (rejected_on.year, rejected_on.year + 1)
    return add_banking_days(rejected_on, AFTER_REJECTION, frozenset(country_holidays(COUNTRY, years=years)))
