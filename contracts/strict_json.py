"""Strict JSON (RFC 8259): UTF-8, each member once, numbers exact."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

LONGEST_NUMBER = 100
LARGEST_EXPONENT = 400
MOST_MEMBERS = 1_000  # of one object; an invoice of 1,000 lines has 6,000 in all of its objects
MOST_MEMBERS_IN_ALL = 20_000
MOST_ITEMS = 2_000  # of one list; a request takes 1,000 at most, and names the field of a list that is somewhat longer
MOST_VALUES = 30_000  # of all objects and lists


class NotJsonError(ValueError):
    """Says what is wrong with a body, and where; never the body itself."""


class TooManyError(NotJsonError):
    """JSON with more members than any body here has. To check each of them would take minutes."""


class _TwiceError(ValueError):
    """A member stands twice: which of the two was meant can't be known, and it may be an amount."""


class _Members:
    """Objects of one body: each member once, and not too many of them."""

    def __init__(self) -> None:
        self.count = 0

    def once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        self.count += len(pairs)
        members = dict(pairs)
        if len(members) < len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen:
                    raise _TwiceError(name)
                seen.add(name)
        if len(pairs) > MOST_MEMBERS:
            raise TooManyError(f"an object holds more than {MOST_MEMBERS:,} members")
        if self.count > MOST_MEMBERS_IN_ALL:
            raise TooManyError(f"its objects hold more than {MOST_MEMBERS_IN_ALL:,} members in all")
        return members


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number of JSON")


def _exactly(text: str) -> Decimal:
    """As it is written; the nearest binary fraction would be another number. Bounded, since it is counted with."""
    try:
        number = Decimal(text) if len(text) <= LONGEST_NUMBER else Decimal("Infinity")
    except InvalidOperation:
        number = Decimal("Infinity")
    if not number.is_finite() or abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError("it is out of bounds")
    return number


def _bounded(said: Any) -> None:
    """TooManyError for a list that is too long, or too many values in all. Commas within a text are text."""
    left, count = [said], 1
    while left:
        value = left.pop()
        if not isinstance(value, list | dict):
            continue
        if isinstance(value, list) and len(value) > MOST_ITEMS:
            raise TooManyError(f"a list holds more than {MOST_ITEMS:,} items")
        count += len(value)
        if count > MOST_VALUES:
            raise TooManyError(f"it holds more than {MOST_VALUES:,} values")
        left += value if isinstance(value, list) else value.values()


def read_strict(body: bytes) -> Any:
    """The parsed body, fractions as Decimal. NotJsonError if it is not strict JSON.

    >>> read_strict(b'{"rate": 0.0825}')
    {'rate': Decimal('0.0825')}
    """
    read = json.JSONDecoder(object_pairs_hook=_Members().once, parse_constant=_no_number, parse_float=_exactly)
    try:
        said = read.decode(body.decode("utf-8-sig"))
        _bounded(said)
        return said
    except NotJsonError:
        raise
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg} (line {error.lineno}, column {error.colno}).") from None
    except UnicodeDecodeError as error:
        raise NotJsonError(f"Byte {error.start} is not UTF-8.") from None
    except RecursionError:
        raise NotJsonError("It is nested too deeply.") from None
    except _TwiceError as error:
        raise NotJsonError(f"The member {str(error)!a:.80} stands twice in one object.") from None
    except ValueError as error:
        raise NotJsonError(f"A number can't be read: {error}.") from None
