"""The event of a payer link."""

from __future__ import annotations

from typing import Literal

from auth.links.domain import PayerLink
from contracts.auth import PayerLinkMade
from contracts.envelope import Message, message


def made(link: PayerLink, sealed: str, about: Literal["invoice_issued", "reminder", "statement"]) -> Message:
    event = PayerLinkMade(
        link_id=link.id, customer_id=link.customer_id, invoice_id=link.invoice_id, about=about, sealed=sealed
    )
    return message(event, sequence=1, time=link.made_at, customer=link.customer_id)
