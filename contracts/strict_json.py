"""JSON as RFC 8259 means it, from whoever sends it: UTF-8, each member once, numbers exact."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

LONGEST_NUMBER = 100
LARGEST_EXPONENT = 400


class NotJsonError(ValueError):
    """Says what is wrong with a body, and where; never the body itself."""


class _TwiceError(ValueError):
    """A member stands twice: which of the two was meant can't be known, and it may be an amount."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _TwiceError(name)
            seen.add(name)
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


_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number, parse_float=_exactly)


def read_strict(body: bytes) -> Any:
    """What the body says, its fractions as Decimal; NotJsonError when it is not quite JSON.

    >>> read_strict(b'{"rate": 0.0825}')
    {'rate': Decimal('0.0825')}
    """
    try:
        return _decoder.decode(body.decode("utf-8-sig"))
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
