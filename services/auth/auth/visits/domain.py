"""Visits: one of the company's people looks at the portal as a customer sees it. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

LASTS = timedelta(minutes=60)


@dataclass(frozen=True, slots=True)
class Visit:
    """`digest`: the SHA-256 of the visit's own cookie. The id is the grant in the path. `called`: who looks."""

    id: str
    digest: bytes
    staff_id: str
    customer_id: str
    reason: str
    made_at: datetime
    expires_at: datetime
    called: str
    ended_at: datetime | None = None

    def alive(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.expires_at
