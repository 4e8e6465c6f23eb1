"""Opens tickets, and makes things happen to them: the ticket, its events, and who is mailed, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prometheus_client import Histogram

from chassis.files import keeping
from chassis.messaging.work import Work
from chassis.tasks.queue import cancel, enqueue
from contracts.ids import new_id
from contracts.money import Money
from contracts.support import TicketKind, reply_to
from support.projections.store import is_of_company
from support.tickets import messages, store
from support.tickets.domain import (
    JUST_RECONCILED,
    REOPENS_FOR,
    Author,
    Entry,
    State,
    Ticket,
    about,
    changes_nothing,
    closed_by_payment,
    entries_of_merge,
    entries_of_reply,
    first,
    recipients,
    refusal_of,
    refusal_of_merge,
)

CLOSE = "close-solved-tickets"  # the queue
MOST_READERS = 1_000
LONG = tuple(hours * 3600 for hours in (0.25, 1, 4, 8, 24, 48, 72, 168, 336, 720))
first_answer = Histogram(
    "paidup_ticket_first_answer_seconds", "From opening to the company's first answer", buckets=LONG
)
solution = Histogram("paidup_ticket_solution_seconds", "From opening to the first time solved or closed", buckets=LONG)


@dataclass(frozen=True, slots=True)
class Opening:
    """A ticket to be opened.

    `assignee`: this person works on it from the start, unless they have left. `to_manager`: else the customer's account
    manager does.
    """

    customer_id: str
    kind: TicketKind
    subject: str
    text: str
    invoice_id: str | None = None
    payment_id: str | None = None
    follows: str | None = None
    to_manager: bool = False
    assignee: str | None = None
    files: tuple[str, ...] = ()


async def open_ticket(work: Work, opening: Opening, author: Author) -> Ticket:
    invoice = await store.find_invoice_number(work, opening.invoice_id) if opening.invoice_id else None
    payment, reconciled = await store.lock_payment(work, opening.payment_id) if opening.payment_id else (None, None)
    entry = Entry("asked", work.now, author, opening.text, await _assignee(work, opening), opening.files)
    ticket = Ticket(
        new_id(), opening.customer_id, opening.kind, opening.subject, opening.invoice_id, opening.payment_id,
        opening.follows, work.now, first(entry),
    )  # fmt: skip
    words = [opening.subject, opening.text, invoice or "", payment or ""]
    ticket = replace(ticket, number=await store.add_ticket(work, ticket, words))
    await _record(work, ticket, entry)
    ticket = await _mail(work, ticket, entry)
    if ticket.notices:
        await store.save_ticket(work, ticket, "")
    if reconciled is not None and work.now - reconciled < JUST_RECONCILED and opening.follows is None:
        return await happen(work, ticket, [closed_by_payment(work.now)])
    return ticket


async def _assignee(work: Work, opening: Opening) -> str | None:
    """Who works on the ticket from the start, if anybody."""
    if assignee := await _if_here(work, opening.assignee):
        return assignee
    return await store.find_manager(work, opening.customer_id) if opening.to_manager else None


async def _if_here(work: Work, assignee: str | None) -> str | None:
    """The person, unless they have left."""
    return assignee if assignee is not None and await is_of_company(work.connection, assignee) else None


async def reply(work: Work, ticket: Ticket, entry: Entry) -> Ticket:
    """Write in a locked ticket. If it ended too long ago, this writes in the ticket that follows it, or opens that."""
    state = ticket.state
    if entry.what == "noted":
        return await happen(work, ticket, [entry])
    if state.ended and not state.reopens(work.now):
        if following := await store.lock_follower(work, ticket.id):
            return await reply(work, following, entry)
        again = Opening(
            ticket.customer_id, ticket.kind if ticket.kind != "dispute" else "request", ticket.subject, entry.text,
            ticket.invoice_id, ticket.payment_id, follows=ticket.id, to_manager=True,
            assignee=state.assignee, files=entry.files,
        )  # fmt: skip
        return await open_ticket(work, again, entry.author)
    return await happen(work, ticket, entries_of_reply(state, entry))


async def act(work: Work, ticket: Ticket, entry: Entry) -> Ticket:
    """Change a locked ticket. A request that was sent again changes nothing; a `Refusal` is raised."""
    if changes_nothing(ticket.state, entry):
        return ticket
    if refusal := refusal_of(ticket.state, entry):
        raise refusal
    return await happen(work, ticket, [entry])


async def merge(work: Work, ticket: Ticket, into: Ticket, author: Author) -> Ticket:
    """Merge a locked ticket into another one. A request that was sent again changes nothing; a `Refusal` is raised."""
    if ticket.merged_into == into.id:
        return ticket
    if refusal := refusal_of_merge(ticket, into):
        raise refusal
    merged, took_in = entries_of_merge(ticket, into, author, work.now, await _if_here(work, ticket.state.assignee))
    await happen(work, into, [took_in])
    await store.point_at(work, ticket, into)
    return await happen(work, replace(ticket, merged_into=into.id), [merged])


async def happen(work: Work, ticket: Ticket, entries: Sequence[Entry], disputed: Money | None = None) -> Ticket:
    """`disputed`: what a decision was about, for the mail about it."""
    for entry in entries:
        before, ticket = ticket.state, ticket.after(entry)
        _measure(ticket, before)
        await _record(work, ticket, entry)
        ticket = await _mail(work, ticket, entry, disputed)
        await store.save_ticket(work, ticket, "" if entry.internal else entry.text)
        if ticket.state.status == "solved" != before.status:
            await cancel(work, CLOSE, ticket.id)  # of an earlier time that it was solved
            await enqueue(work, CLOSE, ticket.id, due_at=(ticket.state.ended_at or work.now) + REOPENS_FOR)
    return ticket


def _measure(ticket: Ticket, before: State) -> None:
    since, now = ticket.created_at, ticket.state
    if before.answered_at is None and now.answered_at is not None:
        first_answer.observe((now.answered_at - since).total_seconds())
    if before.ended_at is None and now.ended_at is not None and not now.merged:
        solution.observe((now.ended_at - since).total_seconds())


async def _record(work: Work, ticket: Ticket, entry: Entry) -> None:
    if entry.files:
        sender = entry.author.sends_as
        await keeping.attach(work, entry.files, ticket.customer_id, sender, internal=entry.internal)
    await store.add_entry(work, ticket, entry)
    work.emit(*messages.of(ticket, entry, work.now))


async def _mail(work: Work, ticket: Ticket, entry: Entry, disputed: Money | None = None) -> Ticket:
    """Have people mailed of what happened. The ticket counts its notices; the caller saves it."""
    subject = about(entry)
    to = recipients(subject, await store.load_people(work, ticket), entry.author) if subject else None
    if subject is None or to is None:
        return ticket
    ticket = replace(ticket, notices=ticket.notices + 1)
    by = await store.find_name(work, entry.author)
    answers = await _answers(work, ticket, to)
    sealed = work.own.sealer.seal(subject=ticket.subject, text=entry.text, by=by, **answers)
    work.emit(messages.notice(ticket, subject, to, sealed, work.now, disputed))
    return ticket


async def _answers(work: Work, ticket: Ticket, to: tuple[str, ...]) -> dict[str, str]:
    """The address of each reader to which a reply by mail goes, by the name that notify looks for."""
    if work.own.addresses is None:
        return {}
    readers = to or await store.find_contacts(work, ticket.customer_id, MOST_READERS)
    return {reply_to(one): work.own.addresses.of(ticket.place, one) for one in readers}
