"""What a payment under way holds, so that nothing else pays it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from contracts.allocation import Part


@dataclass(frozen=True, slots=True)
class Reservation:
    payment_id: str
    customer_id: str
    currency: str
    state: Literal["placed", "refused", "released", "settled"]
    parts: tuple[Part, ...]
    sequence: int
    refused_by: str | None = None
    expected_by: date | None = None
    credits: tuple[tuple[str, int], ...] = ()  # the payment that brought each, and minor units of it
