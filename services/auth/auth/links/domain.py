"""Payer links: an address in a mail that opens the portal at an invoice. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

AFTER_PAID = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class PayerLink:
    """128 random bits, kept as a keyed hash. `ends_at`: 30 days after its invoice was paid."""

    id: str
    digest: bytes
    customer_id: str
    invoice_id: str | None
    made_at: datetime
    ends_at: datetime | None = None
    revoked_at: datetime | None = None
    said: int = 0

    def alive(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.ends_at is None or now < self.ends_at)
