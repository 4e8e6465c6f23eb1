"""Settlements: what a payment pays (parts and credit), and how that grows and goes back. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from contracts.allocation import Part
from contracts.money import Money, zero


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a payment pays: `parts` and `credit` are what has not gone back. `reversed`: nothing is left of them.

    `effective_on`: the last day on which money of it came or was applied; nothing goes back before. `by_credit`: what
    credit of other payments paid beside it, emitted once, as it is posted; None where none was reserved.
    """

    payment_id: str
    customer_id: str
    parts: tuple[Part, ...]
    credit: Money
    effective_on: date
    sequence: int = 1
    reversed: bool = False
    by_credit: tuple[Part, ...] | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """All that was booked for a settlement, by day: minor units paid of invoices, and of credit (below zero: spent)."""

    paid: tuple[tuple[str, int, date], ...] = ()
    credit: tuple[tuple[int, date], ...] = ()


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Parts and credit that went back, and the settlement as it is left."""

    parts: tuple[Part, ...]
    credit: Money
    left: Settlement


@dataclass(frozen=True, slots=True)
class Applied:
    """Credit that paid invoices, the payment that was confirmed with it, and the settlement as it is now."""

    parts: tuple[Part, ...]
    credit: Money
    applied_by: str
    now: Settlement


def newest_first(parts: Sequence[Part], wanted: Money) -> tuple[Part, ...]:
    """`wanted` of the parts, taken from the last one backwards."""
    found = []
    for part in reversed(parts):
        share = wanted.capped_at(part.amount)
        if share:
            found.append(Part(part.invoice_id, share))
            wanted -= share
    return tuple(found)


def more(parts: Sequence[Part], added: Sequence[Part]) -> tuple[Part, ...]:
    """The parts with what was added, which stands last: it goes back first."""
    sums = {part.invoice_id: part.amount for part in parts}
    for part in added:
        sums[part.invoice_id] = part.amount + sums.pop(part.invoice_id, zero(part.amount.currency))
    return tuple(Part(invoice_id, amount) for invoice_id, amount in sums.items())


def less(parts: Sequence[Part], gone: Sequence[Part]) -> tuple[Part, ...]:
    """The parts less what went back."""
    taken = {part.invoice_id: part.amount for part in gone}
    left = (
        Part(part.invoice_id, part.amount - taken.get(part.invoice_id, zero(part.amount.currency))) for part in parts
    )
    return tuple(part for part in left if part.amount)
