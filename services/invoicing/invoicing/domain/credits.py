"""Credit of a customer that no invoice needed, by the payment or the credit note that brought it."""

from __future__ import annotations

from dataclasses import dataclass

from invoicing.domain.disputes import CreditNote


@dataclass(frozen=True, slots=True)
class Credit:
    """Of a credit note, `payment_id` is the note's id; no money came with it."""

    id: str
    customer_id: str
    payment_id: str
    currency: str
    amount: int
    balance: int
    sequence: int
    pending: int = 0
    note: CreditNote | None = None

    @property
    def available(self) -> int:
        """What no payment under way holds."""
        return max(0, self.balance - self.pending)
