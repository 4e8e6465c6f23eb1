"""The events of tickets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from contracts import support as says
from contracts.envelope import Amount, Message, message
from contracts.money import Money
from support.tickets.domain import Entry, Ticket, What

EVENTS: Mapping[What, type[says.TicketState]] = {
    "asked": says.TicketOpened,
    "replied": says.TicketReplied,
    "assigned": says.TicketAssigned,
    "escalated": says.TicketEscalated,
    "solved": says.TicketSolved,
    "closed": says.TicketClosed,
    "reopened": says.TicketReopened,
    "accepted": says.TicketSolved,
    "rejected": says.TicketSolved,
    "withdrawn": says.TicketClosed,
    "merged": says.TicketMerged,
    "took_in": says.TicketMerged,
}


def of(ticket: Ticket, entry: Entry, now: datetime) -> list[Message]:
    """The event of what happened last to a ticket; a note has none."""
    kind = EVENTS.get(entry.what)
    if kind is None:
        return []
    merge = {"merged": "merged_into", "took_in": "took_in"}.get(entry.what)
    event = kind(
        ticket_id=ticket.id, customer_id=ticket.customer_id, number=ticket.number, kind=ticket.kind,
        status=ticket.state.status, by=entry.author.side, invoice_id=ticket.invoice_id, payment_id=ticket.payment_id,
        follows=ticket.follows, assignee=ticket.state.assignee, escalated=ticket.state.escalated,
        **({merge: entry.other} if merge else {}),
    )  # fmt: skip
    return [message(event, sequence=ticket.sequence, time=now, customer=ticket.customer_id)]


def notice(
    ticket: Ticket, about: says.NoticeAbout, to: tuple[str, ...], sealed: str, now: datetime, disputed: Money | None
) -> Message:
    """What people are mailed of it. `ticket.notices` is the place of this notice."""
    event = says.TicketNoticeMade(
        ticket_id=ticket.id, customer_id=ticket.customer_id, number=ticket.number, about=about, to=to,
        invoice_id=ticket.invoice_id, amount=Amount.of(disputed) if disputed else None, sealed=sealed,
    )  # fmt: skip
    return message(event, sequence=ticket.notices, time=now, customer=ticket.customer_id)
