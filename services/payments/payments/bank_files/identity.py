"""The identity of a bank line: the same in every file that tells of it on its day."""

from __future__ import annotations

import hashlib
import json
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator

from payments.bank_files.line import BankLine

_MOST_OPEN = 1 << 15
_LARGEST_MERGED = 1 << 19


def identities(lines: Iterable[BankLine]) -> Iterator[tuple[BankLine, str]]:
    """Each line with its identity, 64 hexadecimal digits. With the day of booking (else of value) it counts once.

    It is account, currency and amount, with the bank's reference; else with the entry's reference and the payer's id;
    else with the day and the text; and how many alike came before it on that day in its part of the file. So a file
    that overlaps another, or a statement after a notification, gives the same identities, provided that each holds
    whole days.

    The amount is part of it beside the bank's reference, because banks give one reference to a transfer, its fee
    and its return. Status is not: a line that was pending and is booked stays the same line.
    """
    alike = Alike()
    for line in lines:
        told = _told_of(line)
        day = line.booked_on or line.value_on
        nth = alike.nth(digest((line.part, line.status == "booked", day.isoformat() if day else None, *told)))
        yield line, digest((*told, nth)).hex()


def _told_of(line: BankLine) -> tuple[str | int | None, ...]:
    money = (line.account, line.currency, line.amount_minor)
    if line.bank_reference is not None:
        return ("bank", *money, line.bank_reference)
    if line.entry_reference is not None:
        return ("entry", *money, line.entry_reference, line.end_to_end_id)
    day = line.booked_on or line.value_on
    return ("day", *money, day.isoformat() if day else None, " ".join(line.text.split()))


def digest(told: tuple[str | int | None, ...]) -> bytes:
    return hashlib.sha256(json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()).digest()


class Alike:
    """How many lines or statements alike there were.

    Counters of the last ones, and eight bytes for each of those before, sorted: the order costs nothing.
    """

    def __init__(self) -> None:
        self._open = Counter[int]()
        self._sorted: list[array[int]] = []

    def nth(self, digest: bytes) -> int:
        """One for the first."""
        key = int.from_bytes(digest[:8], "big")
        self._open[key] += 1
        count = self._open[key]
        for run in self._sorted:
            at = bisect_left(run, key)
            if at < len(run) and run[at] == key:
                count += bisect_right(run, key, at) - at
        if len(self._open) >= _MOST_OPEN:
            self._close()
        return count

    def _close(self) -> None:
        keys = sorted(self._open.elements())
        self._open.clear()
        while self._sorted and len(self._sorted[-1]) <= min(len(keys), _LARGEST_MERGED):
            keys = sorted([*self._sorted.pop(), *keys])
        self._sorted.append(array("Q", keys))
