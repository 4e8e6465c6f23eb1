"""Tickets over HTTP: open, list and show them, reply, and change what becomes of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from chassis.db.reads import Reads
from chassis.files.store import load_attached
from chassis.http.bodies import StrictRoute
from chassis.http.cursors import read_instant_cursor, write_cursor
from chassis.http.idempotency import required_key
from chassis.http.identity import Identity, whose
from chassis.http.problems import Problem, conflict, not_found, problem_of, refused
from chassis.http.seen import patiently
from chassis.messaging.work import Work
from chassis.running import Running, cause_of, running_of
from contracts.ids import is_id
from contracts.refusals import Refusal
from contracts.support import Side, TicketKind, TicketStatus
from support.disputes.store import find_dispute
from support.disputes.views import DisputeView, view_of_dispute
from support.edge import (
    Asked,
    FileIds,
    OpenTickets,
    OptionalKey,
    OwnTickets,
    ReadTickets,
    Subject,
    Words,
    WorkTickets,
    answer,
    author_of,
    author_on_invoice,
    no_ticket,
    once,
    only_for_company,
)
from support.files.views import FileView
from support.own import Own
from support.projections import store as projections
from support.tickets import store, threads
from support.tickets.domain import REOPENS_FOR, Entry, Ticket, What
from support.tickets.threads import Opening, act, reply

router = APIRouter(route_class=StrictRoute)


class NewTicket(Asked):
    """`customer_id`: of keys and people of the company alone. `payment_id`: the ticket closes when it reconciles."""

    customer_id: str | None = None
    subject: Subject
    details: Words
    invoice_id: str | None = None
    payment_id: str | None = None
    file_ids: FileIds = []  # noqa: RUF012 - pydantic copies it


class Reply(Asked):
    """`internal`: a note that only the company sees."""

    text: Words
    internal: bool = False
    file_ids: FileIds = []  # noqa: RUF012 - pydantic copies it


class Question(Asked):
    text: Words
    file_ids: FileIds = []  # noqa: RUF012 - pydantic copies it


class TicketAssignment(Asked):
    """`assignee`: the id of one of the company's people, or `me`; null: nobody."""

    assignee: Annotated[str | None, Field(max_length=36)]


class Escalation(Asked):
    """Why somebody else has to decide; only the company reads it. The body may be left out."""

    reason: Words | None = None


class TicketMerge(Asked):
    """`into`: the id of another ticket of the same customer."""

    into: Annotated[str, Field(max_length=36)]


class TicketAuthor(BaseModel):
    """Who did it. A program, and somebody who was erased, has no name."""

    side: Annotated[Side, Field(description="`system`: support itself")]
    kind: Annotated[Literal["contact", "staff", "system"], Field(description="`system`: a program, or support itself")]
    id: Annotated[str, Field(description="Of the person or the key; `support` for itself")]
    name: str | None
    on_behalf: Annotated[bool, Field(description="One of the company's people did it while looking as the customer")]


class OtherTicket(BaseModel):
    id: str
    number: Annotated[str, Field(description="The short number of the ticket")]


class TicketEvent(BaseModel):
    """One thing that happened. `status`: of the ticket after it."""

    at: datetime
    event: Annotated[What, Field(description="What happened")]
    by: Annotated[TicketAuthor, Field(description="Who did it")]
    text: Annotated[str | None, Field(description="What was written")]
    internal: Annotated[bool, Field(description="Whether only the company sees it")]
    assignee: Annotated[str | None, Field(description="Who works on the ticket from then on, if that changed")]
    assignee_name: Annotated[str | None, Field(description="The name of `assignee`")]
    status: TicketStatus
    files: Annotated[list[FileView], Field(description="What was sent with it")]
    other: Annotated[OtherTicket | None, Field(description="Which ticket it was merged into, or took in")]


class TicketView(BaseModel):
    """A ticket. `escalated` is null for the customer."""

    id: str
    number: Annotated[str, Field(description="The short number that people read out, as `T-1042`")]
    customer_id: str
    customer_name: str | None
    kind: TicketKind
    status: Annotated[TicketStatus, Field(description="`waiting_for_you`: for the customer's answer")]
    subject: Annotated[str, Field(description="What it is about")]
    invoice_id: str | None
    invoice_number: Annotated[str | None, Field(description="The number of the invoice that it is about")]
    payment_id: str | None
    payment_number: Annotated[str | None, Field(description="The number of the payment that it is about")]
    follows: Annotated[str | None, Field(description="The id of the ticket that it follows, which can't be reopened")]
    merged_into: Annotated[
        OtherTicket | None, Field(description="The ticket that it was merged into; replies to it go there")
    ]
    assignee: Annotated[str | None, Field(description="Who works on it, of the company's people")]
    assignee_name: Annotated[str | None, Field(description="The name of `assignee`")]
    escalated: Annotated[bool | None, Field(description="Whether somebody who may decide more is needed")]
    created_at: datetime
    changed_at: Annotated[datetime, Field(description="When it last changed for the customer, in UTC")]
    answered_at: Annotated[datetime | None, Field(description="When the company first wrote, in UTC")]
    ended_at: Annotated[datetime | None, Field(description="When it was solved or closed, in UTC")]
    reopens_until: Annotated[datetime | None, Field(description="Until when a reply reopens it, in UTC")]


class TicketDetail(TicketView):
    events: Annotated[list[TicketEvent], Field(description="The newest 1,000 of what happened, the oldest first")]
    dispute: Annotated[DisputeView | None, Field(description="The dispute of a ticket of kind `dispute`")]
    followed_by: Annotated[list[OtherTicket], Field(description="The tickets that follow this one")]
    merged: Annotated[list[OtherTicket], Field(description="The tickets that were merged into this one")]


class Tickets(BaseModel):
    items: list[TicketView]
    next_cursor: str | None


def view_of(row: dict[str, Any], names: dict[str, str | None], who: Identity) -> dict[str, Any]:
    ended_at = row["ended_at"]
    return {
        **{name: row[name] for name in TicketView.model_fields if name in row},
        "number": store.number_of(row["number"]),
        "assignee_name": names.get(row["assignee"]),
        "escalated": row["escalated"] if who.customer_id is None else None,
        "merged_into": _other(row["merged_into"], row["merged_number"]),
        "reopens_until": ended_at + REOPENS_FOR if ended_at and not row["merged_into"] else None,
    }


def _other(ticket_id: str | None, number: int | None) -> dict[str, str] | None:
    return {"id": ticket_id, "number": store.number_of(number)} if ticket_id and number else None


def _event(row: dict[str, Any], names: dict[str, str | None], files: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    author = {
        "side": row["side"],
        "kind": row["by_kind"],
        "id": row["by_id"],
        "name": names.get(row["by_id"]),
        "on_behalf": row["acting_for"] is not None,
    }
    return {
        "at": row["at"],
        "event": row["what"],
        "by": author,
        "text": row["text"] or None,
        "internal": row["internal"],
        "assignee": row["assignee"],
        "assignee_name": names.get(row["assignee"]),
        "status": row["status"],
        "files": [files[one] for one in row["files"] if one in files],
        "other": _other(row["other"], row["other_number"]),
    }


async def detail_of(reads: Reads, named: Reads, ticket_id: str, who: Identity) -> dict[str, Any]:
    """The ticket with its thread, as this caller sees it. `named`: knows the names of the company's people, too."""
    row = await store.load_ticket(reads, ticket_id, who.customer_id) if is_id(ticket_id) else None
    if row is None:
        raise no_ticket(ticket_id)
    entries = await store.load_entries(reads, ticket_id, internal=who.customer_id is None)
    ids = {row["assignee"], *(each["assignee"] for each in entries), *(each["by_id"] for each in entries)}
    known = sorted(one for one in ids if one is not None and is_id(one))
    names = await projections.names_of(named, known, addresses=who.customer_id is None)
    sent = await load_attached(reads, [one for each in entries for one in each["files"]], who.key_owner)
    events, followers = [_event(each, names, sent) for each in entries], await store.find_followers(reads, ticket_id)
    dispute = await find_dispute(reads, ticket_id) if row["kind"] == "dispute" else None
    shown_dispute = view_of_dispute(dispute) if dispute else None
    beside = {"dispute": shown_dispute, "followed_by": followers, "merged": await store.find_merged(reads, ticket_id)}
    return {**view_of(row, names, who), "events": events, **beside}


async def shown(work: Work, ticket: Ticket, who: Identity) -> Response:
    """The answer of a request that changed a ticket."""
    detail = await detail_of(work.connection, work.connection, ticket.id, who)
    return answer(detail, seen=f"{ticket.id}:{ticket.sequence}")


async def known_customer(running: Running[Own], customer_id: str | None, who: Identity) -> str:
    """The customer whom a ticket is for; a problem if none is named, or the caller sees no such customer."""
    found = whose(customer_id, who)
    if found is None:
        raise refused("name the customer whose ticket it is", field="customer_id")
    if not await patiently(lambda: projections.customer_known(running.pool, found)):
        raise not_found("customer", found)
    return found


async def known_invoice(running: Running[Own], invoice_id: str, customer_id: str | None) -> str | None:
    """Whose invoice it is; None if there is none, or it is not of this customer."""
    whose_: list[str] = []

    async def look() -> bool:
        found = await projections.customer_of_invoice(running.pool, invoice_id)
        whose_.extend([found] if found and customer_id in (None, found) else [])
        return bool(whose_)

    return whose_[0] if is_id(invoice_id) and await patiently(look) else None


async def known_payment(running: Running[Own], payment_id: str, customer_id: str) -> bool:
    async def look() -> bool:
        return await projections.customer_of_payment(running.pool, payment_id) == customer_id

    return is_id(payment_id) and await patiently(look)


@router.post(
    "/v1/tickets", status_code=201, response_model=TicketDetail, tags=["tickets"], dependencies=[Depends(required_key)]
)
async def open_ticket(asked: NewTicket, request: Request, who: OpenTickets, key: OptionalKey = None) -> Response:
    """Open a ticket. People and programs of the company name the customer whose ticket it is."""
    running = running_of(request)
    customer_id = await known_customer(running, asked.customer_id, who)
    if asked.invoice_id is not None and not await known_invoice(running, asked.invoice_id, customer_id):
        raise problem_of(Refusal("unknown-invoice", "The customer has no such invoice.", "invoice_id"))
    if asked.payment_id is not None and not await known_payment(running, asked.payment_id, customer_id):
        raise problem_of(Refusal("unknown-payment", "The customer has no such payment.", "payment_id"))
    kind: TicketKind = "payment" if asked.payment_id else "request"
    opening = Opening(
        customer_id, kind, asked.subject, asked.details, asked.invoice_id, asked.payment_id, files=tuple(asked.file_ids)
    )

    async def do(work: Work) -> Ticket:
        return await threads.open_ticket(work, opening, author_of(who))

    return await once(request, who, "/v1/tickets", key, asked, do, detail_of)


@router.post("/v1/invoices/{invoice_id}/questions", status_code=201, response_model=TicketDetail, tags=["tickets"])
async def ask_question(
    invoice_id: str, asked: Question, request: Request, who: OpenTickets, key: OptionalKey = None
) -> Response:
    """Ask a question on an invoice: it becomes a ticket that the customer's account manager works on.

    A program asks for the customer: the ticket waits for the company, and the account manager is mailed.
    """
    customer_id = await known_invoice(running_of(request), invoice_id, who.customer_id)
    if customer_id is None:
        raise not_found("invoice", invoice_id)

    async def do(work: Work) -> Ticket:
        number = await store.find_invoice_number(work, invoice_id)
        subject = f"Question on invoice {number}"
        files = tuple(asked.file_ids)
        opening = Opening(customer_id, "question", subject, asked.text, invoice_id, to_manager=True, files=files)
        return await threads.open_ticket(work, opening, author_on_invoice(who))

    return await once(request, who, f"/v1/invoices/{invoice_id}/questions", key, asked, do, detail_of)


Whom = Annotated[str | None, Query(max_length=36, description="Who works on it: an id, `me`, or `nobody`")]


Several = Literal["waiting_for_us", "unsolved"]
SEVERAL: Mapping[str, tuple[str, ...]] = {
    "waiting_for_us": ("new", "open"),
    "unsolved": ("new", "open", "waiting_for_you"),
}


@router.get("/v1/tickets", response_model=Tickets, tags=["tickets"])
async def list_tickets(
    request: Request,
    who: ReadTickets,
    customer_id: Annotated[str | None, Query(max_length=36)] = None,
    status: Annotated[
        TicketStatus | Several | None,
        Query(
            description="Only in this state; `waiting_for_us` is new or open, `unsolved` is not solved and not closed."
        ),
    ] = None,
    kind: Annotated[TicketKind | None, Query(description="Only of this kind.")] = None,
    assignee: Whom = None,
    mergeable: Annotated[
        bool, Query(description="Only those into which another ticket of their customer can be merged.")
    ] = False,
    q: Annotated[
        str | None, Query(max_length=100, description="A part of what was written to or by the customer, or the number")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """List tickets, those that changed last first. Send `next_cursor` as `cursor` for the next page."""
    if q is not None and "\x00" in q:
        raise Problem(status=422, slug="invalid-request", title="Invalid request", detail="The query holds a NUL byte.")
    asked = store.Filter(whose(customer_id, who), _statuses(status), kind, _assignee(assignee, who), q, mergeable)
    running = running_of(request)
    found = await store.list_tickets(running.reads(who), asked, read_instant_cursor(cursor), limit)
    rows = found[:limit]
    ids = sorted({row["assignee"] for row in rows if row["assignee"]})
    names = await projections.names_of(running.pool, ids, addresses=who.customer_id is None)
    items = [view_of(row, names, who) for row in rows]
    last = rows[-1] if len(found) > limit else None
    following = write_cursor(last["changed_at"].isoformat(), last["id"]) if last else None
    return answer({"items": items, "next_cursor": following})


def _statuses(asked: TicketStatus | Several | None) -> tuple[str, ...]:
    return () if asked is None else SEVERAL.get(asked, (asked,))


def _assignee(text: str | None, who: Identity) -> str | None:
    """As the store takes it."""
    found = {"me": who.subject, "nobody": ""}.get(text or "", text)
    if found and not is_id(found):
        raise refused("is an id, `me` or `nobody`", field="assignee")
    return found


@router.get("/v1/tickets/{ticket_id}", response_model=TicketDetail, tags=["tickets"])
async def get_ticket(ticket_id: str, request: Request, who: ReadTickets) -> Response:
    """Show a ticket with what happened to it. Internal notes are shown to the company alone."""
    running = running_of(request)
    return answer(await detail_of(running.reads(who), running.pool, ticket_id, who))


@router.post("/v1/tickets/{ticket_id}/replies", status_code=201, response_model=TicketDetail, tags=["tickets"])
async def reply_to_ticket(
    ticket_id: str, asked: Reply, request: Request, who: OpenTickets, key: OptionalKey = None
) -> Response:
    """Write in a ticket. A ticket that was solved or closed is reopened.

    If that was more than 14 days ago, the answer is a ticket that follows it: a new one, or the one that a reply made.
    What is written to a ticket that was merged is written in the other one, which is the answer.
    """
    if asked.internal:
        only_for_company(who)

    async def do(work: Work) -> Ticket:
        ticket = await _locked(work, ticket_id, who, store.lock_to_write)
        entry = Entry(
            "noted" if asked.internal else "replied", work.now, author_of(who), asked.text, files=tuple(asked.file_ids)
        )
        return await reply(work, ticket, entry)

    return await once(request, who, f"/v1/tickets/{ticket_id}/replies", key, asked, do, detail_of)


Lock = Callable[[Work, str, str | None], Awaitable[Ticket | None]]


async def _locked(work: Work, ticket_id: str, who: Identity, lock: Lock = store.lock_ticket) -> Ticket:
    ticket = await lock(work, ticket_id, who.customer_id) if is_id(ticket_id) else None
    if ticket is None:
        raise no_ticket(ticket_id)
    return ticket


async def _need_decision(work: Work, ticket: Ticket) -> None:
    """A problem while the ticket's dispute is undecided: nobody would look at it any more."""
    dispute = await find_dispute(work.connection, ticket.id) if ticket.kind == "dispute" else None
    if dispute is not None and dispute["decided_at"] is None:
        raise conflict("dispute-undecided", "The dispute of this ticket is undecided: decide or withdraw it first.")


async def _change(
    ticket_id: str, request: Request, who: Identity, what: What, text: str = "", assignee: str | None = None
) -> Response:
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        ticket = await _locked(work, ticket_id, who)
        if what in ("solved", "closed"):
            await _need_decision(work, ticket)
        try:
            ticket = await act(work, ticket, Entry(what, work.now, author_of(who), text, assignee))
        except Refusal as refusal:
            raise problem_of(refusal) from None
        return await shown(work, ticket, who)


@router.post("/v1/tickets/{ticket_id}/solve", response_model=TicketDetail, tags=["tickets"])
async def solve_ticket(ticket_id: str, request: Request, who: OwnTickets) -> Response:
    """Mark a ticket as solved. It closes by itself after 14 days; until then a reply reopens it."""
    return await _change(ticket_id, request, who, "solved")


@router.post("/v1/tickets/{ticket_id}/close", response_model=TicketDetail, tags=["tickets"])
async def close_ticket(ticket_id: str, request: Request, who: OwnTickets) -> Response:
    """Close a ticket. For 14 days after it was solved or closed, a reply reopens it."""
    return await _change(ticket_id, request, who, "closed")


@router.post("/v1/tickets/{ticket_id}/reopen", response_model=TicketDetail, tags=["tickets"])
async def reopen_ticket(ticket_id: str, request: Request, who: OwnTickets) -> Response:
    """Reopen a ticket that was solved or closed at most 14 days ago."""
    return await _change(ticket_id, request, who, "reopened")


@router.post("/v1/tickets/{ticket_id}/assign", response_model=TicketDetail, tags=["tickets"])
async def assign_ticket(ticket_id: str, asked: TicketAssignment, request: Request, who: WorkTickets) -> Response:
    """Give a ticket to one of the company's people, or to nobody."""
    assignee = who.subject if asked.assignee == "me" else asked.assignee
    known = assignee is None or (
        is_id(assignee) and await projections.is_of_company(running_of(request).pool, assignee)
    )
    if not known:
        raise problem_of(Refusal("unknown-person", "None of the company's people has this id.", "assignee"))
    return await _change(ticket_id, request, who, "assigned", assignee=assignee)


@router.post("/v1/tickets/{ticket_id}/escalate", response_model=TicketDetail, tags=["tickets"])
async def escalate_ticket(
    ticket_id: str, request: Request, who: WorkTickets, asked: Escalation | None = None
) -> Response:
    """Say that somebody who may decide more has to look at a ticket. Administrators are mailed."""
    return await _change(ticket_id, request, who, "escalated", text=(asked.reason or "") if asked else "")


@router.post("/v1/tickets/{ticket_id}/merge", response_model=TicketDetail, tags=["tickets"])
async def merge_ticket(ticket_id: str, asked: TicketMerge, request: Request, who: WorkTickets) -> Response:
    """Merge a ticket into another one of the same customer, for ever. The answer is the one that was merged.

    It closes, and replies to it go into the other one, which then waits for the company.
    """
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        ticket, into = await _both(work, ticket_id, asked.into)
        try:
            ticket = await threads.merge(work, ticket, into, author_of(who))
        except Refusal as refusal:
            raise problem_of(refusal) from None
        return await shown(work, ticket, who)


async def _both(work: Work, ticket_id: str, into: str) -> tuple[Ticket, Ticket]:
    """The two tickets of a merge, locked."""
    if not is_id(ticket_id):
        raise no_ticket(ticket_id)
    ticket, other = await store.lock_to_merge(work, ticket_id, into if is_id(into) else ticket_id)
    if ticket is None:
        raise no_ticket(ticket_id)
    if other is None or not is_id(into):
        raise problem_of(Refusal("unknown-ticket", "There is no such ticket.", "into"))
    return ticket, other
