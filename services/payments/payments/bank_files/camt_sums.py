"""Sums of the entries of a camt statement, compared with its balances and totals."""

from __future__ import annotations

import itertools
from collections import Counter

from payments.bank_files.camt_entry import NET, NET_SIDE, Entry, Values, is_booked, is_reversal, money_of
from payments.bank_files.line import BadFile, minor

_OPENING, _CLOSING = ("OPBD", "PRCD"), "CLBD"
_SIDES = {"": ("Cdt", "Dbt"), "Cdt": ("Cdt",), "Dbt": ("Dbt",)}


class Sums:
    """Counts and sums the entries of one statement while they are read."""

    def __init__(self) -> None:
        self._balances: dict[str, tuple[str, int]] = {}
        self._booked = Counter[str]()  # by currency
        self._reversals = Counter[str]()  # likewise, of reversals alone
        # By whether they are booked, reversals, and came in: entries, transactions, and minor units without sign.
        self._tallies: dict[tuple[bool, bool, bool], list[int]] = {}

    def balance(self, values: Values, line: int) -> None:
        """Keep a balance. The first of each kind counts; an unreadable one is ignored."""
        kind, amount, mark, currency = (
            values.get(path, [""])[0] for path in ("Tp/CdOrPrtry/Cd", "Amt", "CdtDbtInd", "Amt@Ccy")
        )
        if kind not in (*_OPENING, _CLOSING) or mark not in ("CRDT", "DBIT"):
            return
        try:
            told = minor(amount, currency, line)
        except BadFile:
            return
        self._balances.setdefault(kind, (currency, told if mark == "CRDT" else -told))

    def add(self, entry: Entry, transactions: int) -> None:
        currency, amount = money_of(entry)
        reversal, booked = is_reversal(entry.values), is_booked(entry.values)
        if booked:
            self._booked[currency] += amount
            if reversal:
                self._reversals[currency] += amount
        tally = self._tallies.setdefault((booked, reversal, amount > 0), [0, 0, 0])
        tally[0] += 1
        tally[1] += transactions or 1
        tally[2] += abs(amount)

    def _readings(self) -> list[dict[str, list[int]]]:
        """Entries, transactions and minor units by side: of all or of booked ones, with reversals on either side."""
        readings = []
        for all_count, turned in itertools.product((True, False), (False, True)):
            sides = {"Cdt": [0, 0, 0], "Dbt": [0, 0, 0]}
            for (booked, reversal, came_in), tally in self._tallies.items():
                if booked or all_count:
                    side = sides["Cdt" if came_in != (turned and reversal) else "Dbt"]
                    side[:] = map(sum, zip(side, tally, strict=True))
            readings.append(sides)
        return readings

    @property
    def balanced(self) -> bool:
        """Whether the statement has an opening and a closing balance."""
        return _CLOSING in self._balances and not self._balances.keys().isdisjoint(_OPENING)

    @property
    def opening(self) -> tuple[str, int] | None:
        """Currency and opening balance."""
        return next((self._balances[kind] for kind in _OPENING if kind in self._balances), None)

    @property
    def now(self) -> int | None:
        """The balance after the entries so far; None if there is no opening balance, or one of another currency."""
        opening = self.opening
        if opening is None or not {*self._booked} <= {opening[0]}:
            return None
        return opening[1] + self._booked[opening[0]]

    def balances(self) -> tuple[str, int, int] | None:
        """Currency, opening and closing balance; None if they can't be compared with the entries."""
        opening, closing = self.opening, self._balances.get(_CLOSING)
        if opening is None or closing is None or {opening[0], *self._booked} != {closing[0]}:
            return None
        return opening[0], opening[1], closing[1]

    def turned(self) -> bool:
        """Whether the balances prove that reversals have the sign of the entries that they reverse."""
        told = self.balances()
        if told is None:
            return False
        currency, opening, closing = told
        came = opening + self._booked[currency]
        return came != closing and came - 2 * self._reversals[currency] == closing

    def wrong(self, values: Values, line: int) -> str | None:
        """Return which balance or total contradicts the entries; None if all agree."""
        if told := self.balances():
            currency, opening, closing = told
            came = opening + self._booked[currency]
            if came != closing:
                return f"opening balance and entries come to {came} minor units of {currency}, CLBD says {closing}"
        for which, sides in _SIDES.items():
            path = f"TxsSummry/Ttl{which}Ntries"
            number, total = (values.get(f"{path}/{name}", [""])[0] for name in ("NbOfNtries", "Sum"))
            if not number and not total:
                continue
            readings = self._readings()
            counts = [[sum(reading[side][what] for side in sides) for what in range(3)] for reading in readings]
            numbers = {count for entries, transactions, _ in counts for count in (entries, transactions)}
            if number.isascii() and number.isdigit() and int(number[:20]) not in numbers:
                return f"{path}/NbOfNtries says {number[:20]}, but {max(numbers)} entries were read"
            sums, said = {count[2] for count in counts}, self._minor(total, line)
            net = {abs(reading["Cdt"][2] - reading["Dbt"][2]) for reading in readings if not which}
            if said is not None and said not in sums | net:
                return f"{path}/Sum says {total[:40]}, but the entries come to {max(sums)} minor units"
        return self._wrong_net(values, line)

    def _wrong_net(self, values: Values, line: int) -> str | None:
        """Whether the net total differs from the entries in its amount, or in its side if it has one."""
        total, side = (next((values[path][0] for path in paths if path in values), "") for paths in (NET, NET_SIDE))
        said = self._minor(total, line)
        if said is None:
            return None
        nets = {reading["Cdt"][2] - reading["Dbt"][2] for reading in self._readings()}
        signs = {"CRDT": (1,), "DBIT": (-1,)}.get(side, (1, -1))
        if any(sign * said in nets for sign in signs):
            return None
        return f"TtlNetNtry says {total[:40]} {side}, but the entries come to {max(nets, key=abs)} minor units net"

    def _minor(self, total: str, line: int) -> int | None:
        """A total in minor units, if all entries have one currency."""
        if len(self._booked) != 1 or not total:
            return None
        try:
            return minor(total.removeprefix("-"), next(iter(self._booked)), line)
        except BadFile:
            return None
