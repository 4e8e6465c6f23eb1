"""Recorded receipts that the bank shows in one sum, as the cheques of one deposit. Values in, values out."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence

from payments.receiving.domain.verdicts import Recorded

LARGEST_MIXED = 12  # up to so many receipts, every selection is tried
LARGEST_OF_THREE = 60  # up to so many receipts of one day, every three are tried
LARGEST = 100  # at most so many receipts are matched with one line
_MOST_DAYS = 5  # consecutive days in one deposit: after a long weekend

Receipts = tuple[Recorded, ...]


class Deposits:
    """Finds receipts of one currency that sum to an amount."""

    def __init__(self, receipts: Sequence[Recorded]) -> None:
        self.receipts = receipts
        self._whole: dict[int, dict[frozenset[str], Receipts]] = defaultdict(dict)
        self._some: dict[int, dict[frozenset[str], Receipts]] = defaultdict(dict)
        self._by_amount: dict[int, list[Recorded]] = defaultdict(list)
        self._days = _grouped(receipts, [one.received_on.isoformat() for one in receipts])
        for one in receipts:
            self._by_amount[one.amount.minor].append(one)
        for group in self._groups():
            _keep(self._whole, group)
            if len(group) <= LARGEST_MIXED:
                for size in range(2, len(group)):
                    for some in itertools.combinations(group, size):
                        _keep(self._some, some)

    def whole(self, minor: int) -> list[Receipts]:
        """Return groups that sum to it: all receipts of a day, a customer, a reference, or of consecutive days."""
        return list(self._whole.get(minor, {}).values())

    def some(self, minor: int) -> list[Receipts]:
        """Return parts of those groups that sum to it, or any two receipts. Large groups are not tried fully."""
        found = {**self._some.get(minor, {})}
        for some in itertools.chain(self._pairs(self.receipts, minor), self._threes(minor)):
            found.setdefault(frozenset(one.payment_id for one in some), some)
        return [some for ids, some in found.items() if ids not in self._whole.get(minor, {})]

    def _pairs(self, receipts: Sequence[Recorded], minor: int) -> Iterator[Receipts]:
        for one in receipts:
            for other in self._by_amount.get(minor - one.amount.minor, ()):
                if one.payment_id < other.payment_id:
                    yield one, other

    def _threes(self, minor: int) -> Iterator[Receipts]:
        for group in self._days.values():
            if LARGEST_MIXED < len(group) <= LARGEST_OF_THREE:
                for one in group:
                    for others in self._pairs(group, minor - one.amount.minor):
                        if one.payment_id < others[0].payment_id and others[1].received_on == one.received_on:
                            yield one, *others

    def _groups(self) -> Iterator[Sequence[Recorded]]:
        days = [self._days[day] for day in sorted(self._days)]
        yield from days
        for keys in ([one.customer_id for one in self.receipts], [one.reference or "" for one in self.receipts]):
            yield from (group for key, group in _grouped(self.receipts, keys).items() if key)
        for count in range(2, _MOST_DAYS + 1):
            for first in range(len(days) - count + 1):
                yield list(itertools.chain(*days[first : first + count]))


def _keep(found: dict[int, dict[frozenset[str], Receipts]], some: Sequence[Recorded]) -> None:
    if 1 < len(some) <= LARGEST:
        sets = found[sum(one.amount.minor for one in some)]
        sets.setdefault(frozenset(one.payment_id for one in some), tuple(some))


def _grouped(receipts: Sequence[Recorded], keys: Sequence[str]) -> dict[str, list[Recorded]]:
    groups: dict[str, list[Recorded]] = defaultdict(list)
    for key, one in zip(keys, receipts, strict=True):
        groups[key].append(one)
    return groups
