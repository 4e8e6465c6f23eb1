"""Business dates: calendar days in the company's time zone, never a fixed offset."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=8)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def business_date(instant: datetime, zone_name: str) -> date:
    """The calendar day of an instant in the company's time zone."""
    return instant.astimezone(zone(zone_name)).date()


def add_banking_days(start: date, days: int, holidays: frozenset[date] = frozenset()) -> date:
    """The day that lies so many banking days (Monday to Friday, no holiday) after a day."""
    day = start
    while days:
        day += timedelta(days=1)
        if day.weekday() < 5 and day not in holidays:
            days -= 1
    return day


def start_of(day: date, zone_name: str) -> datetime:
    """The first instant of a day in a zone, as UTC.

    >>> start_of(date(2026, 7, 1), "America/New_York").isoformat()
    '2026-07-01T04:00:00+00:00'
    """
    return datetime.combine(day, time(), zone(zone_name)).astimezone(UTC)


def within_reach(day: date) -> date:
    """A day, or an instant, that can be counted with in every zone; ValueError for any other.

    A database takes the first and the last day of all for infinity; elsewhere they may lie in a year that there is not.
    """
    if not 1900 <= day.year <= 9000:
        raise ValueError("lies outside the years 1900 to 9000")
    return day
