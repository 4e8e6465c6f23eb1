"""Events of support."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts import topics
from contracts.envelope import Amount, Contract, Event

TicketKind = Literal["request", "payment", "question", "dispute"]
TicketStatus = Literal["new", "open", "waiting_for_you", "solved", "closed"]
Side = Literal["customer", "company", "system"]
NoticeAbout = Literal[
    "opened",
    "from_customer",
    "from_company",
    "solved",
    "assigned",
    "escalated",
    "dispute_accepted",
    "dispute_rejected",
]
DisputeStatus = Literal["open", "under_review", "accepted", "rejected", "withdrawn"]


class TicketState(Event):
    """A ticket after a change, whole, without what was written. `by`: who changed it."""

    topic: ClassVar[topics.Topic] = topics.TICKET
    aggregate: ClassVar[str] = "ticket_id"
    company_fields: ClassVar[frozenset[str]] = frozenset({"assignee", "escalated"})

    ticket_id: str
    customer_id: str
    number: Annotated[str, Field(description="Its short number, which people read out: T-1042")]
    kind: TicketKind
    status: Annotated[TicketStatus, Field(description="`waiting_for_you`: for the customer's answer")]
    by: Annotated[Side, Field(description="`system`: no person and no program asked for it")]
    invoice_id: str | None = None
    payment_id: str | None = None
    follows: Annotated[str | None, Field(description="The ticket that it follows, which can't be reopened")] = None
    assignee: Annotated[str | None, Field(description="The one of the company's people who works on it")] = None
    escalated: bool


class TicketOpened(TicketState):
    """A ticket was opened."""


class TicketReplied(TicketState):
    """The customer or the company wrote. Internal notes have no event."""


class TicketAssigned(TicketState):
    """The ticket was given to one of the company's people, or to nobody."""


class TicketEscalated(TicketState):
    """The ticket needs somebody who may decide more. Only the company's streams have it."""

    of_company: ClassVar[bool] = True


class TicketSolved(TicketState):
    """The matter is settled. For 14 days a reply reopens the ticket."""


class TicketClosed(TicketState):
    """The ticket is closed. For 14 days after it was solved or closed, a reply reopens it."""


class TicketReopened(TicketState):
    """The ticket is worked on again."""


class TicketMerged(TicketState):
    """Two tickets of a customer became one. Each of them says so: the one that closes, and the one that goes on."""

    merged_into: Annotated[
        str | None, Field(description="The ticket into which this one was merged: what is written to it goes there")
    ] = None
    took_in: Annotated[str | None, Field(description="The ticket that was merged into this one")] = None


def reply_to(person_id: str) -> str:
    """The name in what is sealed of a notice, of the address to which this reader answers."""
    return f"reply_to:{person_id}"


class TicketNoticeMade(Event):
    """Something of a ticket that people have to be mailed. Internal.

    `sealed`: what was written, as a JSON object of texts, encrypted to notify (JWE compact). Its names: `subject` of
    the ticket, `text` (may be empty), `by`, the name of who wrote it (may be empty), and for each reader `reply_to:ID`,
    the address that answers by mail go to, if there is one.
    """

    topic: ClassVar[topics.Topic] = topics.TICKET_NOTICE
    aggregate: ClassVar[str] = "ticket_id"

    ticket_id: str
    customer_id: str
    number: str
    about: Annotated[
        Literal[
            "opened",
            "from_customer",
            "from_company",
            "solved",
            "assigned",
            "escalated",
            "dispute_accepted",
            "dispute_rejected",
        ],
        Field(
            description="`from_company`, `solved` and `dispute_…` go to contacts, the others to the company's people"
        ),
    ]
    to: Annotated[tuple[str, ...], Field(description="Ids of people; empty: all contacts of the customer")]
    invoice_id: Annotated[str | None, Field(description="What the ticket is about; absent in older events")] = None
    amount: Annotated[Amount | None, Field(description="Of `dispute_…`: what was disputed, with tax")] = None
    sealed: str


class DisputedLine(Contract):
    """A line of the invoice, by its place from 1."""

    line: int
    amount: Annotated[Amount | None, Field(description="What of the line is disputed, with tax; absent: all of it")] = (
        None
    )


class DisputeState(Event):
    """A dispute after a change, whole, without what was written. Its ticket has the same customer and invoice."""

    topic: ClassVar[topics.Topic] = topics.DISPUTE
    aggregate: ClassVar[str] = "dispute_id"

    dispute_id: str
    ticket_id: str
    customer_id: str
    invoice_id: str
    status: DisputeStatus
    category: Annotated[str | None, Field(description="One of the company's codes; absent: in own words")] = None
    lines: Annotated[tuple[DisputedLine, ...], Field(description="Empty: the whole invoice")]
    amount: Annotated[
        Amount | None,
        Field(description="The sum of `lines`, or what is left of the invoice's total; absent in older events"),
    ] = None


class DisputeRaised(DisputeState):
    """A customer disputes an invoice or some of its lines."""


class DisputeUnderReview(DisputeState):
    """The company looks into the dispute."""


class DisputeAccepted(DisputeState):
    """The customer is right: a credit note is to follow, unless `uncredited` of the invoice names the dispute."""


class DisputeRejected(DisputeState):
    """The company holds that all is owed."""


class DisputeWithdrawn(DisputeState):
    """The customer, or the company for the customer, took the dispute back."""
