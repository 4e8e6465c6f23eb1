"""`BankLine`, into which every format is read; `BadFile`; and how text becomes minor units and days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Literal

from contracts.money import EXPONENTS, LARGEST_MINOR

Status = Literal["booked", "pending", "information"]

# What banks write in fields that they leave empty.
_NOTHING = frozenset({"", "NOTPROVIDED", "NOT PROVIDED", "NONREF", "NOREF", "N/A"})
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_AMOUNT_LENGTH = 40


@dataclass(frozen=True, slots=True)
class BankLine:
    """One transaction of one account, as the bank shows it.

    account             IBAN or the bank's number, without spaces
    amount_minor        above zero: money came in; below: it went out
    bank_reference      the bank's own id of this transaction (camt AcctSvcrRef); None when it gives none
    end_to_end_id       the payer's id of it; None for NOTPROVIDED
    references          structured remittance: creditor references, invoice numbers, KREF
    text                free remittance text
    payer               the other side: who paid, or, if the money went out, who was paid
    code                camt domain/family/sub-family, BAI2 type code, SWIFT transaction type, or the bank's word
    reversal            it takes back an earlier transaction; `amount_minor` has the sign of this movement, not of that
    place               where it stands in the file, for people
    entry_reference     the bank's id of the entry, if this is one of its several transactions: a line of another file
                        with this `bank_reference` is the same money in one sum
    part                each file of a ZIP, and each copy of a statement in one file, is a part of its own: a line that
                        stands in two parts counts once
    own_references      those of `references` that payers and banks made for themselves, as a cheque's number
    balance_before      minor units on the account before the entry, if the statement has an opening balance: lines
                        that differ only in this are probably two transactions
    """

    account: str
    currency: str
    amount_minor: int
    booked_on: date | None
    value_on: date | None
    status: Status
    bank_reference: str | None
    end_to_end_id: str | None
    references: tuple[str, ...]
    text: str
    payer: str | None
    payer_account: str | None
    code: str | None
    reversal: bool
    place: str
    entry_reference: str | None = None
    part: int = 1
    own_references: tuple[str, ...] = ()
    balance_before: int | None = None


class BadFile(Exception):
    """The file can't be read as its format. Names the line, what is wrong, and what to do.

    `field`: what has to be said beside the file, because it is not in the file.
    """

    def __init__(self, line: int | None, reason: str, field: Literal["body", "account"] = "body") -> None:
        super().__init__(f"line {line}: {reason}" if line is not None else reason)
        self.line = line
        self.reason = reason
        self.field = field


def exponent(currency: str, line: int | None) -> int:
    """The number of digits after the point of an ISO 4217 code; `BadFile` for any other."""
    digits = EXPONENTS.get(currency)
    if digits is None:
        known = f"{currency[:10]!r} is not an ISO 4217 currency in use"
        raise BadFile(line, f"{known}. Ask the bank for a file with the currency's present code")
    return digits


def minor(amount: str, currency: str, line: int | None, mark: str = ".") -> int:
    """Turn an unsigned decimal number into minor units, exactly: without float and rounding.

    More decimals than the currency has are refused, unless they are zeros.
    """
    whole, _, fraction = amount.partition(mark)
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit() and len(amount) <= _AMOUNT_LENGTH):
        raise BadFile(line, f"{amount[:50]!r} is not an amount. Correct it to digits with at most one {mark!r}")
    places = exponent(currency, line)
    if len(fraction) > places:
        if fraction[places:].strip("0"):
            raise BadFile(line, f"{amount} has more decimals than {currency}, which has {places}. Correct the amount")
        fraction = fraction[:places]
    return bounded(int((whole + fraction.ljust(places, "0")) or "0"), line)


def bounded(amount_minor: int, line: int | None) -> int:
    if amount_minor > LARGEST_MINOR:
        raise BadFile(line, f"an amount of {amount_minor} minor units is larger than any taken here. Correct it")
    return amount_minor


@lru_cache(4096)
def iso_day(text: str) -> date | None:
    """The day of an ISO 8601 date or time, in the bank's own zone; None if the text is none."""
    if not _DAY.match(text):
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


@lru_cache(4096)
def short_day(text: str) -> date | None:
    """The day of YYMMDD; 80 to 99 mean the last century, as SWIFT has it. None if there is no such day."""
    if len(text) != 6 or not (text.isascii() and text.isdigit()):
        return None
    year = int(text[:2])
    try:
        return date(year + (1900 if year >= 80 else 2000), int(text[2:4]), int(text[4:]))
    except ValueError:
        return None


def without_spaces(text: str) -> str:
    return "".join(text.split())


def given(text: str | None) -> str | None:
    """The text with single spaces; None if the bank left the field empty."""
    if text is None:
        return None
    words = " ".join(text.split())
    return None if words.upper() in _NOTHING else words


def bank_id(text: str | None) -> str | None:
    """The bank's id of a transaction or entry; None if it is empty or only zeros."""
    found = given(text)
    return found if found is not None and found.strip("0") else None
