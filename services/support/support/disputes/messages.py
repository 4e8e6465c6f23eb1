"""The events of disputes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from contracts import support as says
from contracts.envelope import Amount, Message, message
from contracts.support import DisputeStatus
from support.disputes.domain import Dispute

EVENTS: Mapping[DisputeStatus, type[says.DisputeState]] = {
    "open": says.DisputeRaised,
    "under_review": says.DisputeUnderReview,
    "accepted": says.DisputeAccepted,
    "rejected": says.DisputeRejected,
    "withdrawn": says.DisputeWithdrawn,
}


def of(dispute: Dispute, now: datetime) -> Message:
    def amount(minor: int | None) -> Amount | None:
        return None if minor is None else Amount(amount_minor=minor, currency=dispute.currency)

    event = EVENTS[dispute.status](
        dispute_id=dispute.id, ticket_id=dispute.ticket_id, customer_id=dispute.customer_id,
        invoice_id=dispute.invoice_id, status=dispute.status, category=dispute.category,
        lines=tuple(says.DisputedLine(line=one.line, amount=amount(one.amount)) for one in dispute.lines),
        amount=amount(dispute.amount),
    )  # fmt: skip
    return message(event, sequence=dispute.sequence, time=now, customer=dispute.customer_id)
