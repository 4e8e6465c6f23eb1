"""Saved cards that expire. No I/O."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from typing import Any

from contracts.payments import MethodRemoved

WARNED = timedelta(days=30)
"""How long before its last day the customer is warned of a card."""


def last_day(event: Any) -> date | None:
    """The last day of the last month of a card; None if it has none, or it is not known."""
    expires: str | None = getattr(event, "expires", None)
    if expires is None:
        return None
    year, month = map(int, expires.split("-"))
    return date(year, month, monthrange(year, month)[1])


def usable(event: Any) -> bool:
    """Whether the customer goes on paying with it: it is saved, and neither removed nor disabled."""
    if isinstance(event, MethodRemoved):
        return False
    return event.saved is not False and not getattr(event, "disabled", False)
