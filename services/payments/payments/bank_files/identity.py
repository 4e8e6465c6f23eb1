"""The identity of a bank line: the same in every file that tells of it."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from datetime import date

from payments.bank_files.line import BankLine

_Day = tuple[str, date | None]
_DAYS_OPEN = 4


def identities(lines: Iterable[BankLine]) -> Iterator[tuple[BankLine, str]]:
    """Each line with its identity, 64 hexadecimal digits.

    It is account, currency and amount, with the bank's reference; else with the entry's reference and the payer's id;
    else with the day and the text; and how many alike came before it on that day. So a file that overlaps another,
    or a statement after a notification, gives the same identities, provided that each holds whole days.

    The amount is part of it beside the bank's reference, because banks give one reference to a transfer, its fee
    and its return. Status is not: a line that was pending and is booked stays the same line.
    """
    alike = _Alike()
    for line in lines:
        told = _told_of(line)
        nth = alike.nth((line.account, line.booked_on or line.value_on), _digest((line.status == "booked", *told)))
        yield line, _digest((*told, nth)).hex()


def _told_of(line: BankLine) -> tuple[str | int | None, ...]:
    money = (line.account, line.currency, line.amount_minor)
    if line.bank_reference is not None:
        return ("bank", *money, line.bank_reference)
    if line.entry_reference is not None:
        return ("entry", *money, line.entry_reference, line.end_to_end_id)
    day = line.booked_on or line.value_on
    return ("day", *money, day.isoformat() if day else None, " ".join(line.text.split()))


def _digest(told: tuple[str | int | None, ...]) -> bytes:
    return hashlib.sha256(json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()).digest()


class _Alike:
    """How many lines alike a day has had: counters of the last days, and eight bytes a line of the days before.

    Files are in order of days, mostly; one that is not costs time, never a wrong count.
    """

    def __init__(self) -> None:
        self._open: OrderedDict[_Day, Counter[int]] = OrderedDict()
        self._closed: dict[_Day, array[int]] = {}

    def nth(self, day: _Day, digest: bytes) -> int:
        """One for the first."""
        counts = self._open.get(day)
        if counts is None:
            counts = self._open[day] = Counter(self._closed.pop(day, ()))
            if len(self._open) > _DAYS_OPEN:
                oldest, done = self._open.popitem(last=False)
                self._closed[oldest] = array("Q", done.elements())
        else:
            self._open.move_to_end(day)
        key = int.from_bytes(digest[:8], "big")
        counts[key] += 1
        return counts[key]
