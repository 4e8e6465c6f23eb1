"""Invoices as payments last heard of them, and how names are compared. Values in, values out."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date

from contracts.allocation import Due
from contracts.money import Money

CLOSED = frozenset({"paid", "void", "uncollectible"})


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """Invoicing's invoice as payments last heard of it."""

    id: str
    customer_id: str
    number: str
    status: str
    currency: str
    issued_on: date
    due_on: date
    payable_now: int
    balance: int | None = None

    @property
    def pending(self) -> bool:
        """Payments that are under way hold some of it, or all."""
        return self.status == "in_progress" or (self.balance is not None and self.balance > self.payable_now)

    def due(self) -> Due:
        return Due(self.id, self.number, self.issued_on, self.due_on, Money(self.payable_now, self.currency))


def called(name: str) -> str:
    """How a name is compared: letters and digits of any script, without marks and capitals.

    >>> called("Müller & Söhne GmbH"), called("東方 Ltd.")
    ('mullersohnegmbh', '東方ltd')
    """
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name).casefold()))
