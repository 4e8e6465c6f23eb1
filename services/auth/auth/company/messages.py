"""The event of the company's settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from auth.company.domain import COMPANY_ID
from contracts.auth import CompanyChanged
from contracts.envelope import Message, message


def of(settings: dict[str, Any], sequence: int, now: datetime) -> Message:
    event = CompanyChanged.model_validate({"company_id": COMPANY_ID, **settings})
    return message(event, sequence=sequence, time=now)
