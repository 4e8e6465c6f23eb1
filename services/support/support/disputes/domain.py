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
    """An invoice as support knows it. `lines`: what each comes to in minor units, with tax; None: not known."""

    id: str
    number: str
    status: str
    total: Money
    lines: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dispute:
    """`lines`: empty is the whole invoice. `amount`: None of older disputes, where invoicing alone knows it."""

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

    def decide(self, what: Decision, now: datetime, text: str) -> Dispute | Refusal:
        """The dispute after a decision; the same value if it was decided so already. `text`: why."""
        if self.status == what:
            return self
        if self.decided:
            detail = f"The dispute is {self.status} already. If that was wrong, reply in its ticket."
            return Refusal("dispute-decided", detail, conflict=True, values={"status": self.status})
        if what == "rejected" and not text:
            return Refusal("reason-missing", "Say in `text` why it is rejected: the customer reads it.", "text")
        decided_at = now if what in DECIDED else None
        return replace(self, status=what, decided_at=decided_at, sequence=self.sequence + 1)


def refusal_of(
    invoice: DisputedInvoice, lines: Sequence[Line], category: str | None, categories: Iterable[str],
    others: Sequence[Dispute],
) -> Refusal | None:  # fmt: skip
    """Why these lines of the invoice can't be disputed. `others`: its disputes that are undecided or were accepted."""
    if category is not None and category not in categories:
        return Refusal("unknown-category", f"The categories are: {', '.join(categories)}.", "category")
    if invoice.status in NOT_DISPUTABLE:
        detail = f"The invoice is {invoice.status}: nothing of it is owed."
        return Refusal("not-disputable", detail, conflict=True, values={"status": invoice.status})
    if any(not other.decided and other.overlaps(lines) for other in others):
        detail = "What you dispute is disputed already. Write in the ticket of that dispute, or withdraw it."
        return Refusal("disputed-already", detail, conflict=True)
    places = [one.line for one in lines]
    if len(set(places)) < len(places):
        return Refusal("line-twice", "A line is named twice.", "lines")
    if left_to_credit(invoice, others) <= 0:
        return Refusal("credited-already", "All of the invoice is credited already.", conflict=True)
    if lines and invoice.lines is None:
        detail = (
            "Single lines of this invoice can't be disputed, as it is from before that was possible: dispute all of it."
        )
        return Refusal("lines-unknown", detail, conflict=True)
    for place, one in enumerate(lines):
        if refusal := _refusal_of_line(invoice, one, place, others):
            return refusal
    left = max(0, _left_of(invoice, others))
    if sum(one.amount or 0 for one in in_full(invoice, lines, others)) > left:
        detail = (
            f"The lines sum to more than the {left} minor units of the invoice that are neither credited nor in "
            "another dispute."
        )
        return Refusal("more-than-invoiced", detail, "lines", values={"left": left})
    return None


def _refusal_of_line(invoice: DisputedInvoice, one: Line, place: int, others: Sequence[Dispute]) -> Refusal | None:
    known = invoice.lines or ()
    if one.line > len(known):
        detail = f"The invoice has {len(known)} lines."
        return Refusal("unknown-line", detail, f"lines.{place}.line", values={"lines": len(known)})
    left = _left_of_line(invoice, one.line, others)
    if left <= 0:
        detail = f"Of line {one.line} nothing can be disputed: it is a discount, or credited already."
        return Refusal("line-not-disputable", detail, f"lines.{place}.line", values={"line": one.line})
    if one.amount is not None and one.amount > left:
        detail = f"Line {one.line} comes to {left} minor units, with tax and less what was credited."
        return Refusal("more-than-line", detail, f"lines.{place}.amount_minor", values={"line": one.line, "left": left})
    return None


def left_to_credit(invoice: DisputedInvoice, others: Iterable[Dispute]) -> int:
    """What of the invoice's total accepted disputes leave, if all of each is credited."""
    return invoice.total.minor - sum(other.amount or 0 for other in others if other.status == "accepted")


def _left_of(invoice: DisputedInvoice, others: Iterable[Dispute]) -> int:
    """What of the invoice's total no other dispute is about, so that all of them can be accepted."""
    return invoice.total.minor - sum(other.amount or 0 for other in others)


def _left_of_line(invoice: DisputedInvoice, line: int, others: Iterable[Dispute]) -> int:
    credited = [one for other in others if other.status == "accepted" for one in other.lines if one.line == line]
    return (invoice.lines or ())[line - 1] - sum(one.amount or 0 for one in credited)


def in_full(invoice: DisputedInvoice, lines: Sequence[Line], others: Sequence[Dispute]) -> tuple[Line, ...]:
    """The lines with their amounts, where they had none."""
    return tuple(
        one if one.amount is not None else replace(one, amount=_left_of_line(invoice, one.line, others))
        for one in lines
    )


def amount_of(invoice: DisputedInvoice, lines: Sequence[Line], others: Sequence[Dispute]) -> int:
    """Minor units that are disputed: of these lines in full, or else of the invoice."""
    return sum(one.amount or 0 for one in lines) if lines else _left_of(invoice, others)
