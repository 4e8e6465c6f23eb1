"""The offset that every process adds to real time, kept in one file that they all read."""

import datetime as dt
import os
import re
from decimal import Decimal

from contracts.calendar import business_date
from paidup_local.errors import StackError
from paidup_local.settings import Settings

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds_of(text: str) -> Decimal:
    """`3d`, `2h`, `90s`, `1d12h` in seconds."""
    if not re.fullmatch(r"(\d+[smhdw])+", text):
        raise StackError(f"{text!r} is no length of time.", "write it as 3d, 2h, 15m, 90s or 1d12h.")
    return sum((Decimal(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([smhdw])", text)), Decimal(0))


def offset(settings: Settings) -> Decimal:
    try:
        return Decimal(settings.clock_file.read_text().strip() or "0")
    except FileNotFoundError:
        return Decimal(0)


def advance(settings: Settings, text: str) -> None:
    """Move business time on, in every process at once."""
    put(settings, offset(settings) + seconds_of(text))


def put(settings: Settings, seconds: Decimal) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    fresh = settings.clock_file.with_suffix(".new")
    fresh.write_text(f"{seconds}\n")
    fresh.replace(settings.clock_file)


def now(settings: Settings) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=float(offset(settings)))


def today(settings: Settings) -> dt.date:
    """The day on the company's calendar."""
    return business_date(now(settings), os.environ.get("PAIDUP_TIME_ZONE", "America/New_York"))


def shown(settings: Settings) -> str:
    return f"business time {now(settings):%Y-%m-%dT%H:%M:%SZ}, {offset(settings)} s ahead of real time"
