"""A ticket is the list of what happened to it; its state follows from that. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from typing import Literal

from contracts.refusals import Refusal
from contracts.support import NoticeAbout, Side, TicketKind, TicketStatus

What = Literal["asked", "replied", "noted", "assigned", "escalated", "solved", "closed", "reopened",
    "under_review", "accepted", "rejected", "withdrawn", "merged", "took_in",
]  # fmt: skip
About = Literal[
    "opened", "from_customer", "from_company", "solved", "assigned", "escalated", "dispute_accepted", "dispute_rejected"
]
ENDED: frozenset[TicketStatus] = frozenset({"solved", "closed"})
INTERNAL: frozenset[What] = frozenset({"noted", "assigned", "escalated"})
UNSAID: frozenset[What] = frozenset({"noted", "under_review"})  # they have no event of the ticket
REOPENS_FOR = timedelta(days=14)
JUST_RECONCILED = timedelta(minutes=15)  # as long as somebody may have written about a payment that was waiting
RECONCILED = "The payment was confirmed, so this ticket was closed. If something is still wrong, reply or reopen it."


@dataclass(frozen=True, slots=True)
class Author:
    """Who does something, on which side. A person of the company who looks as a customer is on the customer's side.

    `kind`: `system` is a program, or (with the id `support`) this service itself.
    """

    side: Side
    kind: Literal["contact", "staff", "system"]
    id: str
    acting_for: str | None = None

    @property
    def sends_as(self) -> str:
        """Whose files are this author's, as `Identity.key_owner` says it."""
        return f"{self.kind}:{self.id}" + (f":{self.acting_for}" if self.acting_for else "")


ITSELF = Author("system", "system", "support")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a ticket. `assignee`: who works on it from now on, where `what` says so.

    `files`: ids of those that came with it. `other`: the ticket that it was merged into, or that was merged into it.
    `escalated`: what it took in was. The thread need not keep that: a merged ticket stays as it was.
    """

    what: What
    at: datetime
    author: Author
    text: str = ""
    assignee: str | None = None
    files: tuple[str, ...] = ()
    other: str | None = None
    escalated: bool = False

    @property
    def internal(self) -> bool:
        """Whether only the company sees it."""
        return self.what in INTERNAL


def closed_by_payment(now: datetime) -> Entry:
    """A ticket's payment reconciled."""
    return Entry("closed", now, ITSELF, RECONCILED)


@dataclass(frozen=True, slots=True)
class State:
    """`ended_at`: when it was solved or closed, whichever came first. `answered_at`: when the company first wrote.

    `changed_at`: what only the company sees does not change it. `merged`: into another ticket, for ever.
    """

    status: TicketStatus
    changed_at: datetime
    assignee: str | None = None
    escalated: bool = False
    ended_at: datetime | None = None
    answered_at: datetime | None = None
    merged: bool = False

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    def reopens(self, now: datetime) -> bool:
        """Whether an ended ticket can still be reopened."""
        return self.ended_at is not None and now < self.ended_at + REOPENS_FOR and not self.merged


def first(entry: Entry) -> State:
    """The state of a ticket that was just opened. What the company opens waits for the customer."""
    status: TicketStatus = "waiting_for_you" if entry.author.side == "company" else "new"
    return State(status, entry.at, entry.assignee)


def after(state: State, entry: Entry) -> State:
    """The state after what happened."""
    if not entry.internal:
        state = replace(state, changed_at=entry.at)
    begun: TicketStatus = "open" if state.status == "new" else state.status
    match entry.what:
        case "replied" if entry.author.side == "company":
            answered_at = state.answered_at or entry.at
            return replace(state, status="waiting_for_you", ended_at=None, answered_at=answered_at)
        case "asked" | "replied":
            return replace(state, status="new" if state.status == "new" else "open", ended_at=None)
        case "noted" | "under_review":
            return state
        case "assigned":
            return replace(state, status=begun, assignee=entry.assignee)
        case "escalated":
            return replace(state, status=begun, escalated=True)
        case "solved" | "accepted" | "rejected":
            return replace(state, status="solved", ended_at=state.ended_at or entry.at)
        case "closed" | "withdrawn":
            return replace(state, status="closed", ended_at=state.ended_at or entry.at)
        case "reopened":
            return replace(state, status="open", ended_at=None)
        case "took_in":  # somebody has to look at what was merged into it
            assignee, escalated = state.assignee or entry.assignee, state.escalated or entry.escalated
            return replace(state, status="open", ended_at=None, assignee=assignee, escalated=escalated)
        case "merged":
            return replace(state, status="closed", ended_at=state.ended_at or entry.at, merged=True)


def state_of(entries: Sequence[Entry]) -> State:
    """The state that follows from all that happened, the oldest first."""
    return reduce(after, entries[1:], first(entries[0]))


def changes_nothing(state: State, entry: Entry) -> bool:
    """Whether the ticket is already as it would be afterwards: the request may have been sent again."""
    match entry.what:
        case "solved":
            return state.status == "solved"
        case "closed":
            return state.status == "closed"
        case "reopened":
            return not state.ended
        case "assigned":
            return state.assignee == entry.assignee
        case "escalated":
            return state.escalated
        case _:
            return False


def refusal_of(state: State, entry: Entry) -> Refusal | None:
    """Why this can't happen now. A reply is never refused: if it comes too late, it opens a ticket that follows."""
    if state.merged:
        return Refusal("ticket-merged", "The ticket was merged into another one: go on there.", conflict=True)
    if entry.what == "reopened" and state.ended and not state.reopens(entry.at):
        detail = "The ticket ended more than 14 days ago. Reply to it: the reply opens a new ticket that follows it."
        return Refusal("reopened-too-late", detail, conflict=True)
    if entry.what == "escalated" and state.ended:
        return Refusal("ticket-ended", "The ticket is solved or closed. Reopen it first.", conflict=True)
    if entry.what == "solved" and state.status == "closed":
        return Refusal("ticket-ended", "The ticket is closed. Reopen it first.", conflict=True)
    return None


@dataclass(frozen=True, slots=True)
class Ticket:
    """`sequence` and `notices` count its events on the two topics, `entries` what happened to it.

    `merged_into`: where replies to it go. If that ticket is merged, too, this is the last one of them.
    """

    id: str
    customer_id: str
    kind: TicketKind
    subject: str
    invoice_id: str | None
    payment_id: str | None
    follows: str | None
    created_at: datetime
    state: State
    number: str = ""
    sequence: int = 1
    notices: int = 0
    entries: int = 1
    merged_into: str | None = None

    @property
    def place(self) -> int:
        """The number without its letter."""
        return int(self.number.removeprefix("T-"))

    def after(self, entry: Entry) -> Ticket:
        said = entry.what not in UNSAID
        return replace(
            self, state=after(self.state, entry), entries=self.entries + 1, sequence=self.sequence + int(said)
        )


def entries_of_reply(state: State, reply: Entry) -> list[Entry]:
    """What a reply makes happen: it also reopens a ticket that has ended."""
    if not state.ended:
        return [reply]
    return [replace(reply, what="reopened", text="", files=()), reply]


def refusal_of_merge(ticket: Ticket, into: Ticket) -> Refusal | None:
    """Why the one can't be merged into the other."""
    if ticket.id == into.id:
        return Refusal("merged-with-itself", "A ticket can't be merged into itself.", "into")
    if ticket.customer_id != into.customer_id:
        return Refusal("of-other-customer", "Only tickets of the same customer are merged.", "into")
    if "dispute" in (ticket.kind, into.kind):
        detail = "The ticket of a dispute stays by itself: decide the dispute, or answer in each of the tickets."
        return Refusal("dispute-not-merged", detail, conflict=True)
    if ticket.merged_into is not None:
        detail = f"{ticket.number} was merged into another ticket already: merge that one."
        return Refusal("merged-already", detail, conflict=True)
    if into.merged_into is not None:
        detail = f"{into.number} was merged into another ticket: choose that one."
        return Refusal("target-merged", detail, conflict=True)
    if into.state.ended:
        detail = f"{into.number} is solved or closed. Reopen it first, or merge it into {ticket.number}."
        return Refusal("ticket-ended", detail, conflict=True)
    return None


def entries_of_merge(
    ticket: Ticket, into: Ticket, author: Author, now: datetime, assignee: str | None = None
) -> tuple[Entry, Entry]:
    """What happens to the one, and to the other. Both sides read it; nobody is mailed.

    `assignee`: who worked on the one, unless they have left. They go on with the other if nobody works on that.
    """
    heir = assignee if into.state.assignee is None else None
    took_in = Entry("took_in", now, author, assignee=heir, other=ticket.id, escalated=ticket.state.escalated)
    return Entry("merged", now, author, other=into.id), took_in


def about(entry: Entry) -> NoticeAbout | None:
    """What people are mailed of this; None: nobody is."""
    side = entry.author.side
    match entry.what:
        case "asked":
            return "from_company" if side == "company" else "opened"
        case "replied":
            return "from_company" if side == "company" else "from_customer"
        case "solved":
            return "solved" if side == "company" else None
        case "closed":
            return "solved" if entry.text else None
        case "accepted":
            return "dispute_accepted"
        case "rejected":
            return "dispute_rejected"
        case "assigned":
            return "assigned" if entry.assignee not in (None, entry.author.id) else None
        case "escalated":
            return "escalated"
        case _:
            return None


@dataclass(frozen=True, slots=True)
class People:
    """Who may be mailed of a ticket; each of them is enabled.

    `asking`: the contacts who wrote in it. `manager`: the customer's account manager. `queue`: who works on tickets
    of nobody. `deciding`: administrators.
    """

    asking: tuple[str, ...] = ()
    assignee: str | None = None
    manager: str | None = None
    queue: tuple[str, ...] = ()
    deciding: tuple[str, ...] = ()


def recipients(subject: NoticeAbout, people: People, author: Author) -> tuple[str, ...] | None:
    """Ids of those who are mailed; empty: all contacts of the customer; None: nobody.

    Nobody is mailed what they wrote themselves.
    """
    match subject:
        case "from_company" | "solved" | "dispute_accepted" | "dispute_rejected":
            return people.asking
        case "assigned":
            found: tuple[str, ...] = (people.assignee,) if people.assignee else ()
        case "escalated":
            found = people.deciding
        case "opened" | "from_customer":
            one = people.assignee or people.manager
            found = (one,) if one else people.queue or people.deciding
    return tuple(one for one in found if one != author.id) or None
