"""An invoice: its amounts and states, and the names of its steps. Values in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from contracts.allocation import Due
from contracts.money import Money
from invoicing.domain.disputes import Dispute

State = Literal["draft", "open", "paid", "void", "uncollectible"]
What = Literal["issued", "changed", "in_progress", "paid", "reopened", "voided", "held", "hold_ended"]


@dataclass(frozen=True, slots=True)
class Invoice:
    """Amounts are minor units of `currency`; `sequence` counts its events. `reopened_on`: when money last went back.

    `in_dispute`: what undecided disputes are about, also if it is paid. `resting`: what rejected ones were about, held
    from reminders and autopay through `held_until`.
    """

    id: str
    customer_id: str
    number: str
    currency: str
    state: State
    issued_on: date
    due_on: date
    total: int
    credited: int = 0
    settled: int = 0
    pending: int = 0
    sequence: int = 0
    reopened_on: date | None = None
    in_dispute: int = 0
    resting: int = 0
    held_until: date | None = None

    @property
    def balance(self) -> int:
        """What is owed in minor units; 0 if the invoice is void."""
        return 0 if self.state == "void" else self.total - self.credited - self.settled

    @property
    def payable_now(self) -> int:
        return self.balance - self.pending if self.state in ("open", "uncollectible") else 0

    @property
    def disputed(self) -> int:
        """What of the balance is in dispute."""
        return min(self.in_dispute, self.balance)

    @property
    def held(self) -> int:
        """What of the balance reminders and autopay leave out, through `held_until`; after that it is `disputed`."""
        return min(self.in_dispute + self.resting, self.balance)

    @property
    def status(self) -> Literal["draft", "open", "in_progress", "paid", "void", "uncollectible"]:
        """The state as people see it: In Progress when all that could be paid is reserved."""
        if self.state == "open" and self.pending and not self.payable_now:
            return "in_progress"
        return self.state

    def counts_from(self, day: date) -> date:
        """The day on which money of `day` counts here: not before the issue, nor before the last reopening.

        So on no day more is paid than owed, although events may arrive in another order.
        """
        return max(day, self.issued_on, self.reopened_on or self.issued_on)

    def due(self) -> Due:
        return Due(self.id, self.number, self.issued_on, self.due_on, Money(self.payable_now, self.currency))

    def overdue(self, today: date) -> bool:
        return self.state == "open" and self.balance > 0 and today > self.due_on


@dataclass(frozen=True, slots=True)
class Change:
    """An invoice after one step, and what the step is called. `reason`: why somebody voided it.

    `lines`: what each line comes to, of an invoice that was issued. `dispute`: the one that holds, or whose hold ended.
    `uncredited`: accepted disputes that end without a credit note, by their ids.
    """

    invoice: Invoice
    what: What
    payment_id: str | None = None
    reason: str | None = None
    lines: tuple[int, ...] | None = None
    dispute: Dispute | None = None
    uncredited: tuple[str, ...] = ()


def step(before: Invoice, after: Invoice, dispute: Dispute | None = None) -> What:
    """The name of the step between two states of an invoice."""
    if after.state == "void" and before.state != "void":
        return "voided"
    if before.state == "draft":
        return "issued"
    if after.state == "paid" and before.state != "paid":
        return "paid"
    if before.state == "paid" and after.state != "paid":
        return "reopened"
    if dispute is not None:
        return "held" if dispute.state == "open" else "hold_ended"
    return "in_progress" if after.status == "in_progress" else "changed"
