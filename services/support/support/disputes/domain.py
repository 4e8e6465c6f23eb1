"""Disputes of invoices and of their lines: what may be disputed, and what may become of it. Values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from contracts.money import Money
from contracts.refusals import Refusal
from contracts.support import DisputeStatus

Decision = Literal["under_review", "accepted", "rejected", "withdrawn"]
DECIDED: frozenset[DisputeStatus] = frozenset({"accepted", "rejected", "withdrawn"})
NOT_DISPUTABLE = frozenset({"draft", "void", "uncollectible"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line by its place from 1. `amount` in minor units, with tax; None: the whole line."""

    line: int
    amount: int | None = None


@dataclass(frozen=True, slots=True)
class DisputedInvoice:
    """An invoice as support knows it: of its lines it knows nothing."""

    id: str
    number: str
    status: str
    total: Money


@dataclass(frozen=True, slots=True)
class Dispute:
    """`lines`: empty is the whole invoice. `amount`: None where only invoicing knows what the lines come to."""

    id: str
    ticket_id: str
    customer_id: str
    invoice_id: str
    status: DisputeStatus
    category: str | None
    lines: tuple[Line, ...]
    amount: int | None
    currency: str
    raised_at: datetime
    decided_at: datetime | None = None
    sequence: int = 1

    @property
    def decided(self) -> bool:
        return self.status in DECIDED

    def overlaps(self, lines: Sequence[Line]) -> bool:
        """Whether it disputes one of these lines, too. No lines: the whole invoice."""
        mine, theirs = {one.line for one in self.lines}, {one.line for one in lines}
        return not mine or not theirs or bool(mine & theirs)

    def decide(self, what: Decision, now: datetime) -> Dispute | Refusal:
        """The dispute after a decision; the same value if it was decided so already."""
        if self.status == what:
            return self
        if self.decided:
            detail = f"The dispute is {self.status} already. If that was wrong, reply in its ticket."
            return Refusal("dispute-decided", detail, conflict=True, values={"status": self.status})
        decided_at = now if what in DECIDED else None
        return replace(self, status=what, decided_at=decided_at, sequence=self.sequence + 1)


def refusal_of(
    invoice: DisputedInvoice, lines: Sequence[Line], category: str | None, categories: Iterable[str],
    others: Iterable[Dispute],
) -> Refusal | None:  # fmt: skip
    """Why these lines of the invoice can't be disputed. `others`: the undecided disputes of the same invoice."""
    if category is not None and category not in categories:
        return Refusal("unknown-category", f"The categories are: {', '.join(categories)}.", "category")
    if invoice.status in NOT_DISPUTABLE:
        detail = f"The invoice is {invoice.status}: nothing of it is owed."
        return Refusal("not-disputable", detail, conflict=True, values={"status": invoice.status})
    places = [one.line for one in lines]
    if len(set(places)) < len(places):
        return Refusal("line-twice", "A line is named twice.", "lines")
    if sum(one.amount or 0 for one in lines) > invoice.total.minor:
        return Refusal("more-than-invoiced", "The lines sum to more than the invoice's total.", "lines")
    if any(other.overlaps(lines) for other in others):
        detail = "What you dispute is disputed already. Write in the ticket of that dispute, or withdraw it."
        return Refusal("disputed-already", detail, conflict=True)
    return None


def amount_of(invoice: DisputedInvoice, lines: Sequence[Line]) -> int | None:
    """Minor units that are disputed; None where only invoicing knows what the lines come to."""
    if not lines:
        return invoice.total.minor
    amounts = [one.amount for one in lines if one.amount is not None]
    return sum(amounts) if len(amounts) == len(lines) else None
