"""What a bank transfer tells, and how that is compared. Values in, values out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from contracts.money import Money

MOST_WORDS = 200
SHORTEST_REFERENCE = 4
LONGEST_REMITTANCE = 200
_SEVERAL = re.compile(r"[\s,;:/+&|]")


@dataclass(frozen=True, slots=True)
class Transfer:
    """A booked transaction that brought money, or (below zero) took some away."""

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


def remittance_of(references: Iterable[str], text: str) -> str | None:
    """What a payment keeps of what the payer wrote to the bank, the same whether posted by itself or by a person."""
    return " ".join((*references, text)).strip()[:LONGEST_REMITTANCE] or None


def plain(text: str) -> str:
    """Letters and digits alone, of any script, in capitals: how a number is compared.

    >>> plain("inv-1001/b"), plain("Счёт № 77")
    ('INV1001B', 'СЧЁТ77')
    """
    return "".join(_pieces(text)).upper()


def _pieces(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def called(name: str) -> str:
    """How a name is compared: letters and digits of any script, without marks and capitals.

    >>> called("Müller & Söhne GmbH"), called("東方 Ltd.")
    ('mullersohnegmbh', '東方ltd')
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name).casefold()))


def words_of(transfer: Transfer) -> list[str]:
    """What may be an invoice's number: each reference, and one to three neighbouring words with a digit of the text.

    Of a reference, too, that holds several words: payers write several numbers there.
    """
    words = []
    for told in (*(one for one in transfer.references if _SEVERAL.search(one)), transfer.text):
        pieces = _pieces(told)[:MOST_WORDS]
        for width in (1, 2, 3):
            words += ["".join(pieces[at : at + width]).upper() for at in range(len(pieces) - width + 1)]
    whole = [plain(reference) for reference in transfer.references]
    found = dict.fromkeys([*whole, *(word for word in words if any(map(str.isdigit, word)))])
    return [word for word in found if 2 < len(word) <= 40][:MOST_WORDS]


def tells(transfer: Transfer, reference: str) -> bool:
    """Whether a transfer tells a reference in whole words: one of its own, or neighbouring words of the text.

    >>> paid = Transfer(1, "", Money(1, "USD"), date(2026, 3, 1), ("INVB7",), "wire 77 81", None, None)
    >>> tells(paid, "Wire 7781"), tells(paid, "INVB")
    (True, False)
    """
    wanted = plain(reference)
    if len(wanted) < SHORTEST_REFERENCE:
        return False
    for told in (*transfer.references, transfer.text):
        words = [word.upper() for word in _pieces(told)[:MOST_WORDS]]
        for first in range(len(words)):
            joined = ""
            for word in words[first:]:
                joined += word
                if joined == wanted:
                    return True
                if not wanted.startswith(joined):
                    break
    return False
