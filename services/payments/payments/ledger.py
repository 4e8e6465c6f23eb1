"""The ledger: one transaction for each movement of money, of signed entries by account that sum to zero."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from contracts.money import Money


@dataclass(frozen=True, slots=True)
class Posting:
    """One ledger transaction: signed amounts by account, debit above zero, summing to zero."""

    id: str
    payment_id: str
    customer_id: str
    kind: Literal["charge", "receipt", "dispute", "dispute_won", "reversal", "refund_failed"]
    effective_on: date
    entries: tuple[tuple[str, Money], ...]
    reversal_id: str | None = None
