"""A bank transfer: which words and numbers stand in it. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from contracts.money import EXPONENTS, Money
from payments.receiving.domain.numbers import (
    LONGEST,
    SHORTEST,
    Likelihood,
    likelihood,
    places_of,
    plain,
    quoted,
    runs_of,
)

MOST_WORDS = 400
SHORTEST_REFERENCE = 4
LONGEST_REMITTANCE = 200
_SEVERAL = re.compile(r"[\s,;:/+&|]")


@dataclass(frozen=True, slots=True)
class Transfer:
    """A booked transaction at the bank. Amounts above zero came in, below zero went out.

    `own_references`: references that the payer or a bank made for itself. Digits there are an invoice's number only by
    chance.
    """

    line_id: int
    identity: str
    amount: Money
    booked_on: date
    references: tuple[str, ...]
    text: str
    payer: str | None
    payer_account: str | None
    reversal: bool = False
    code: str | None = None
    own_references: tuple[str, ...] = ()


def remittance_of(references: Iterable[str], text: str) -> str | None:
    """The payment's reference: the payer's references and text. The same if a job or a person posts the line."""
    return " ".join((*references, text)).strip()[:LONGEST_REMITTANCE] or None


def words_of(transfer: Transfer) -> list[str]:
    """Return all that may be a number, in `plain`: each reference, and neighbouring words with a digit of the text.

    References of several words are searched like a text, because payers write several numbers there.
    """
    found = dict.fromkeys(map(plain, transfer.references))
    for told in _texts(transfer):
        found |= dict.fromkeys(key for key, _, _ in runs_of(told))
    return [word for word in found if SHORTEST <= len(word) <= LONGEST][:MOST_WORDS]


def _texts(transfer: Transfer) -> list[str]:
    return [*(one for one in transfer.references if _SEVERAL.search(one)), transfer.text]


def numbers_in(transfer: Transfer, known: Mapping[str, Iterable[str]]) -> dict[str, Likelihood]:
    """Return which of the known numbers (by `plain`) stand in a transfer, and how likely each is meant.

    A number inside a longer known number does not count. Digits that equal the transfer's own amount may be that
    amount, so they are a number only by chance.
    """
    found: dict[str, Likelihood] = {}
    year, amounts = transfer.booked_on.year, _digits_of(transfer.amount)

    def add(number: str, likely: Likelihood | None) -> None:
        if likely == "sure" and number not in amounts:
            found[number] = likely
        elif likely:
            found.setdefault(number, "chance")

    for reference in transfer.references:
        for number in known.get(plain(reference), ()):
            likely = quoted(reference, number, year)
            by_chance = likely and reference in transfer.own_references and plain(number).isdecimal()
            add(number, "chance" if by_chance else likely)
    for told in _texts(transfer):
        longest = 0
        runs = [run for run in runs_of(told) if run[0] in known]
        for key, start, end in sorted(runs, key=lambda run: (run[1], -run[2])):
            here = [(one, likelihood(told, start, end, one, year)) for one in known[key]]
            if end <= longest or not any(likely for _, likely in here):
                continue
            longest = end
            for number, likely in here:
                add(number, likely)
    return found


def _digits_of(amount: Money) -> tuple[str, str]:
    """How an amount may be written without signs: in minor units, and in major units if there is no fraction."""
    major, rest = divmod(amount.minor, 10 ** EXPONENTS[amount.currency])
    return str(amount.minor), "" if rest else str(major)


def mentions(transfer: Transfer, reference: str) -> bool:
    """Whether a reference stands in a transfer in whole words: as a reference, or as neighbouring words of the text.

    >>> paid = Transfer(1, "", Money(1, "USD"), date(2026, 3, 1), ("INVB7",), "wire 77 81, 12.34", None, None)
    >>> mentions(paid, "Wire 7781"), mentions(paid, "INVB"), mentions(paid, "1234")
    (True, False, False)
    """
    wanted, year = plain(reference), transfer.booked_on.year
    if len(wanted) < SHORTEST_REFERENCE:
        return False
    if any(plain(one) == wanted and quoted(one, reference, year) for one in transfer.references):
        return True
    return any(
        likelihood(told, start, end, reference, year)
        for told in (*transfer.references, transfer.text)
        for start, end in places_of(wanted, told)
    )
