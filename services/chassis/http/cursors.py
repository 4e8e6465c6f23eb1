"""Cursors of lists: where the next page begins, as opaque text."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

import orjson

from chassis.http.problems import Problem
from contracts.ids import is_id


def write_cursor(*values: str) -> str:
    """A cursor from which `read_cursor` reads the same values.

    >>> read_cursor(write_cursor("2026-01-31", "7"), 2)
    ['2026-01-31', '7']
    """
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def read_cursor(cursor: str, count: int) -> list[str]:
    """The `count` texts of a cursor, without NUL, or a 422 problem. The list checks whether they mean anything."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(values, list) or len(values) != count:
            raise ValueError
        if not all(isinstance(value, str) and "\x00" not in value for value in values):
            raise ValueError
    except (ValueError, binascii.Error):
        raise invalid_cursor() from None
    return values


def read_instant_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """The instant and id of the last row of a page, or a 422 problem."""
    if not cursor:
        return None
    instant, last = read_cursor(cursor, 2)
    try:
        after = datetime.fromisoformat(instant).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid_cursor() from None
    if not is_id(last):
        raise invalid_cursor()
    return after, last


def invalid_cursor() -> Problem:
    return Problem(
        status=422,
        slug="invalid-cursor",
        title="Invalid cursor",
        detail="Send the next_cursor of a page of the same list and sort, or none to begin again.",
        errors=[{"field": "cursor", "message": "not a cursor of this list"}],
    )
