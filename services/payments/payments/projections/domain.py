"""Invoices as payments knows them, and how names are compared. Values in, values out."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date

from contracts.allocation import Due
from contracts.money import Money

CLOSED = frozenset({"paid", "void", "uncollectible"})


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """An invoice of invoicing, as of its last event that arrived here.

    `held`: what autopay leaves out, through `held_until`; after that, or without such a day, what is `disputed`.
    """

    id: str
    customer_id: str
    number: str
    status: str
    currency: str
    issued_on: date
    due_on: date
    payable_now: int
    balance: int | None = None
    disputed: int = 0
    held: int = 0
    held_until: date | None = None

    @property
    def pending(self) -> bool:
        """Whether payments under way hold a part or all of it."""
        return self.status == "in_progress" or (self.balance is not None and self.balance > self.payable_now)

    def chargeable(self, today: date, allowed: int | None = None) -> int:
        """What autopay may charge on a day, in minor units: what can be paid and is `allowed`, less what is held."""
        payable = self.payable_now if allowed is None else min(self.payable_now, allowed)
        over = self.held_until is not None and self.held_until < today
        return max(0, payable - (self.disputed if over else self.held))

    def due(self) -> Due:
        return Due(self.id, self.number, self.issued_on, self.due_on, Money(self.payable_now, self.currency))


def called(name: str) -> str:
    """The form in which names are compared: letters and digits of any script, in lower case, without accents.

    >>> called("Müller & Söhne GmbH"), called("東方 Ltd.")
    ('mullersohnegmbh', '東方ltd')
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name).casefold()))
