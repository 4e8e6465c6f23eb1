"""Money of a customer that no invoice needed, by the payment that brought it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Credit:
    id: str
    customer_id: str
    payment_id: str
    currency: str
    amount: int
    balance: int
    sequence: int
    pending: int = 0

    @property
    def available(self) -> int:
        """What no payment under way holds."""
        return max(0, self.balance - self.pending)
