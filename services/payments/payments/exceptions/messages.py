"""Makes the events about exceptions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts import payments as says
from contracts.envelope import Amount, Message, message


def exception_assigned(row: Mapping[str, Any], whom: str, sequence: int, now: datetime) -> Message:
    event = says.ExceptionAssigned(
        exception_id=row["id"], assigned_to=whom, why=row["class"], payment_id=row["payment_id"],
        amount=Amount(amount_minor=row["amount"], currency=row["currency"]),
    )  # fmt: skip
    return message(event, sequence=sequence, time=now)
