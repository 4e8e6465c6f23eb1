"""Disputes of invoices: what they hold from reminders and autopay, and their credit notes. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

State = Literal["open", "waits", "accepted", "rejected", "withdrawn"]
UNDECIDED: frozenset[State] = frozenset({"open", "waits"})


@dataclass(frozen=True, slots=True)
class Dispute:
    """What is disputed of an invoice, in minor units.

    `waits`: accepted, but money under way may still pay it. `held_until`: reminders and autopay wait until then.
    """

    id: str
    customer_id: str
    invoice_id: str
    amount: int
    state: State = "open"
    held_until: date | None = None


@dataclass(frozen=True, slots=True)
class CreditNote:
    """`applied` of `amount` paid its own invoice when it was issued; the rest became the customer's credit."""

    id: str
    customer_id: str
    number: str
    invoice_id: str
    dispute_id: str
    currency: str
    amount: int
    applied: int
    issued_on: date


def disputed(line_totals: Sequence[int], lines: Sequence[tuple[int, int | None]]) -> int:
    """What a dispute of these lines (by their place from 1) is about, in minor units: of each at most what it comes to.

    A line that the invoice does not have counts for nothing. The sum is at most the total.
    """
    asked = 0
    for place, amount in dict(lines).items():
        of_line = max(0, line_totals[place - 1]) if 0 < place <= len(line_totals) else 0
        asked += of_line if amount is None else min(amount, of_line)
    return min(asked, max(0, sum(line_totals)))
