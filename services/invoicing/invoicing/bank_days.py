"""Days on which banks work."""

from __future__ import annotations

from datetime import date, timedelta

from holidays import country_holidays

from contracts.calendar import add_banking_days

COUNTRY = "US"
AFTER_REJECTION = 5
SUNDAY = 6


def held_until(rejected_on: date) -> date:
    """The last day on which reminders and autopay wait after a dispute was rejected: the fifth banking day.

    >>> held_until(date(2026, 11, 25)).isoformat()  # Thanksgiving is the next day
    '2026-12-03'
    """
    return add_banking_days(rejected_on, AFTER_REJECTION, bank_holidays(rejected_on.year, rejected_on.year + 1))


def bank_holidays(*years: int) -> frozenset[date]:
    """The days of these years on which the Federal Reserve rests: a holiday on a Sunday is kept on the Monday after.

    One on a Saturday is kept on no other day. Source: the calendar of the Federal Reserve Banks.
    """
    holidays = country_holidays(COUNTRY, years=years, observed=False)
    return frozenset(day + timedelta(days=1) if day.weekday() == SUNDAY else day for day in holidays)
