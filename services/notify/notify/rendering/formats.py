"""Money, days and instants, as the reader of a language writes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import Locale
from babel.dates import format_date, format_skeleton, format_time, get_timezone_location
from babel.numbers import parse_pattern
from jinja2 import pass_context
from jinja2.runtime import Context

from contracts.money import EXPONENTS

LOCALES = {"en": "en_US"}
"""Of a language alone it is not known whether its days begin with the month."""


def locale_of(language: str) -> Locale:
    return Locale.parse(LOCALES.get(language, language))


def money(minor: int, currency: str, language: str) -> str:
    """With as many digits as ISO 4217 gives the currency, whatever custom leaves out.

    >>> money(123456, "USD", "en"), money(1234, "JPY", "en"), money(1234567, "KWD", "es").replace(chr(160), " ")
    ('$1,234.56', '¥1,234', '1234,567 KWD')
    """
    locale, places = locale_of(language), EXPONENTS[currency]
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (places, places)
    value = Decimal(minor).scaleb(-places)
    written: str = pattern.apply(value, locale, currency=currency, currency_digits=False)
    return written


class Formats:
    """Filters of templates. They read the language and the company's zone from the values of the mail."""

    @staticmethod
    @pass_context
    def money(context: Context, amount: Mapping[str, Any] | None) -> str:
        """`{"amount_minor", "currency"}`, as events carry it. Nothing stays nothing."""
        return money(amount["amount_minor"], amount["currency"], context["language"]) if amount else ""

    @staticmethod
    @pass_context
    def day(context: Context, day: date | str | None) -> str:
        if not day:
            return ""
        found = date.fromisoformat(day) if isinstance(day, str) else day
        return format_date(found, "long", locale=locale_of(context["language"]))

    @staticmethod
    @pass_context
    def month(context: Context, day: date | str) -> str:
        found = date.fromisoformat(day) if isinstance(day, str) else day
        return format_skeleton("yMMMM", found, locale=locale_of(context["language"]))

    @staticmethod
    @pass_context
    def moment(context: Context, instant: datetime | str | None) -> str:
        """Day and time in the company's zone, with the city that the zone is named after."""
        if not instant:
            return ""
        found = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        zone, locale = ZoneInfo(context["time_zone"]), locale_of(context["language"])
        day = format_date(found.astimezone(zone), "long", locale=locale)
        time = format_time(found, "short", tzinfo=zone, locale=locale)
        return f"{day}, {time} ({get_timezone_location(zone, locale=locale, return_city=True)})"
