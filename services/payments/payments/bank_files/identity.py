"""The identity of a bank line: the same in every file that has the line on its day."""

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
    """Yield each line with its identity, 64 hexadecimal digits. It counts once per day of booking (else of value).

    It is a hash of account, currency and amount, with the bank's reference; without one, with the entry's reference and
    the payer's id; without these, with the day and the text. Lines alike in all this are numbered within their day and
    their part of the file. So overlapping files, or a notification and a later statement, give the same identities, if
    each file has whole days.

    The amount is in it, because banks give one reference to a transfer, its fee and its return. The status is not in
    it, because a pending line that is booked later stays the same line.
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
    """Counts lines or statements that are alike.

    It keeps counters of the latest ones, and eight bytes, sorted, for each of those before.
    """

    def __init__(self) -> None:
        self._open = Counter[int]()
        self._sorted: list[array[int]] = []

    def nth(self, digest: bytes) -> int:
        """Count one more; return 1 for the first."""
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
