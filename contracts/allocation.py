"""Allocation: sharing received money over open invoices. Quotes preview with it, invoicing decides with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from contracts.money import Money


@dataclass(frozen=True, slots=True)
class Due:
    """An open invoice as allocation sees it; `payable` is its balance less what is reserved."""

    invoice_id: str
    number: str
    issued_on: date
    due_on: date
    payable: Money


@dataclass(frozen=True, slots=True)
class Part:
    invoice_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class Allocation:
    """Parts and what is left; together exactly the received money."""

    parts: tuple[Part, ...]
    credit: Money


def oldest_first(due: Due) -> tuple[date, date, str]:
    return due.due_on, due.issued_on, due.number


def allocate(received: Money, dues: Sequence[Due]) -> Allocation:
    """Share received money over open invoices, oldest first; what no invoice needs is credit."""
    left, parts = received, []
    for due in sorted(dues, key=oldest_first):
        part = left.capped_at(due.payable)
        if part:
            parts.append(Part(due.invoice_id, part))
            left -= part
    return Allocation(tuple(parts), credit=left)


def allocate_as_asked(received: Money, asked: Sequence[Part], dues: Sequence[Due]) -> Allocation:
    """Share received money as its sender asked; more than an invoice's payable, or a closed one, becomes credit."""
    payable = {due.invoice_id: due.payable for due in dues}
    left, parts = received, []
    for wish in asked:
        part = left.capped_at(wish.amount).capped_at(payable.get(wish.invoice_id, Money(0, received.currency)))
        if part:
            parts.append(Part(wish.invoice_id, part))
            left -= part
            payable[wish.invoice_id] -= part
    return Allocation(tuple(parts), credit=left)
