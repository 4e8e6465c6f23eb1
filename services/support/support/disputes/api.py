"""Disputes over HTTP: raise one on an invoice, list them, and decide."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import invalid_cursor
from chassis.http.identity import Identity, whose
from chassis.http.problems import conflict, not_found, problem_of
from chassis.messaging.work import Work
from chassis.running import cause_of, running_of
from contracts.ids import is_id, new_id
from contracts.money import LARGEST_MINOR, Money
from contracts.refusals import Refusal
from contracts.support import DisputeStatus
from support.disputes import messages, store
from support.disputes.domain import Decision, Dispute, Line, amount_of, in_full, left_to_credit, refusal_of
from support.disputes.views import DisputeView, view_of_dispute
from support.edge import (
    Asked,
    FileIds,
    OptionalKey,
    OwnTickets,
    ReadTickets,
    Words,
    WorkTickets,
    answer,
    author_of,
    author_on_invoice,
    once,
)
from support.tickets import store as tickets
from support.tickets import threads
from support.tickets.api import TicketDetail, detail_of, known_invoice
from support.tickets.domain import Author, Entry, Ticket

router = APIRouter(route_class=StrictRoute)
MOST_LINES = 1_000


class LineToDispute(Asked):
    """`amount_minor`: what of the line is disputed, with tax; all of it, unless given."""

    line: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    amount_minor: Annotated[int | None, Field(ge=1, le=LARGEST_MINOR, strict=True)] = None


class NewDispute(Asked):
    """`category`: one of `GET /v1/disputes/categories`. Without `lines` the whole invoice is disputed."""

    category: Annotated[str | None, Field(max_length=100)] = None
    text: Words
    lines: Annotated[list[LineToDispute], Field(max_length=MOST_LINES)] = []  # noqa: RUF012 - pydantic copies it
    file_ids: FileIds = []  # noqa: RUF012 - pydantic copies it


class DisputeDecision(Asked):
    """Why; the customer reads it. Only a rejection needs it, else the body may be left out."""

    text: Words | None = None


class Disputes(BaseModel):
    items: list[DisputeView]
    next_cursor: str | None


class DisputeCategories(BaseModel):
    """Codes of the company's settings. The portal has words for those that it knows, and shows others as they are."""

    items: list[str]


@router.post("/v1/invoices/{invoice_id}/disputes", status_code=201, response_model=TicketDetail, tags=["tickets"])
async def raise_dispute(
    invoice_id: str, asked: NewDispute, request: Request, who: OwnTickets, key: OptionalKey = None
) -> Response:
    """Dispute an invoice or some of its lines. The answer is a ticket of kind `dispute`, with the dispute in it.

    A program disputes for the customer: the ticket waits for the company, and the account manager is mailed.
    """
    running = running_of(request)
    customer_id = await known_invoice(running, invoice_id, who.customer_id)
    if customer_id is None:
        raise not_found("invoice", invoice_id)
    lines = tuple(Line(one.line, one.amount_minor) for one in asked.lines)

    async def do(work: Work) -> Ticket:
        invoice = await store.lock_invoice(work, invoice_id)
        if invoice is None:
            raise not_found("invoice", invoice_id)
        others, categories = await store.load_others(work, invoice_id), running.settings.dispute_categories
        if refusal := refusal_of(invoice, lines, asked.category, categories, others):
            raise problem_of(refusal)
        full = in_full(invoice, lines, others)
        subject, files = f"Dispute of invoice {invoice.number}", tuple(asked.file_ids)
        opening = threads.Opening(customer_id, "dispute", subject, asked.text, invoice_id, to_manager=True, files=files)
        ticket = await threads.open_ticket(work, opening, author_on_invoice(who))
        dispute = Dispute(
            new_id(), ticket.id, customer_id, invoice_id, "open", asked.category, full,
            amount_of(invoice, full, others), invoice.total.currency, work.now,
        )  # fmt: skip
        await store.add_dispute(work, dispute)
        work.emit(messages.of(dispute, work.now))
        return ticket

    return await once(request, who, f"/v1/invoices/{invoice_id}/disputes", key, asked, do, detail_of)


@router.get("/v1/disputes", response_model=Disputes, tags=["tickets"])
async def list_disputes(
    request: Request,
    who: ReadTickets,
    customer_id: Annotated[str | None, Query(max_length=36)] = None,
    invoice_id: Annotated[str | None, Query(max_length=36, description="Only of this invoice.")] = None,
    status: DisputeStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=36)] = None,
) -> Response:
    """List disputes, the newest first. Send `next_cursor` as `cursor` for the next page."""
    if cursor is not None and not is_id(cursor):
        raise invalid_cursor()
    if invoice_id is not None and not is_id(invoice_id):
        raise not_found("invoice", invoice_id)
    asked = store.Filter(whose(customer_id, who), invoice_id, status)
    found = await store.list_disputes(running_of(request).reads(who), asked, cursor, limit)
    items = [view_of_dispute(row) for row in found[:limit]]
    return answer({"items": items, "next_cursor": items[-1]["id"] if len(found) > limit else None})


@router.get("/v1/disputes/categories", response_model=DisputeCategories, tags=["tickets"])
async def list_dispute_categories(request: Request, who: ReadTickets) -> Response:
    """List the categories of disputes that the company offers."""
    return answer({"items": running_of(request).settings.dispute_categories})


@router.get("/v1/disputes/{dispute_id}", response_model=DisputeView, tags=["tickets"])
async def get_dispute(dispute_id: str, request: Request, who: ReadTickets) -> Response:
    """Show a dispute. What was written about it stands in its ticket."""
    reads = running_of(request).reads(who)
    row = await store.load_dispute(reads, dispute_id, who.customer_id) if is_id(dispute_id) else None
    if row is None:
        raise not_found("dispute", dispute_id)
    return answer(view_of_dispute(row))


async def decide(work: Work, dispute: Dispute, what: Decision, author: Author, text: str) -> Dispute:
    """Decide a locked dispute, which ends its ticket."""
    decided = dispute.decide(what, work.now, text)
    if isinstance(decided, Refusal):
        raise problem_of(decided)
    if decided is not dispute:
        await store.save_dispute(work, decided)
        work.emit(messages.of(decided, work.now))
        ticket = await tickets.lock_ticket(work, decided.ticket_id, None)
        assert ticket is not None, "tickets are never deleted"
        disputed = Money(decided.amount, decided.currency) if decided.amount is not None else None
        await threads.happen(work, ticket, [Entry(what, work.now, author, text)], disputed)
    return decided


async def _creditable(work: Work, dispute: Dispute) -> None:
    """A void invoice, of which nothing was paid, has nothing to credit; nor has one that is credited in full."""
    invoice = await store.lock_invoice(work, dispute.invoice_id)
    if invoice is None:
        return
    void = invoice.status == "void"
    if void or left_to_credit(invoice, await store.load_others(work, invoice.id)) <= 0:
        why = "The invoice is void" if void else "All of the invoice is credited already"
        detail = f"{why}, so there is nothing to credit. Reject the dispute, and say so in your answer."
        raise conflict("nothing-to-credit", detail)


async def _decide(
    dispute_id: str, request: Request, who: Identity, what: Decision, asked: DisputeDecision | None
) -> Response:
    text = (asked.text or "") if asked else ""
    async with running_of(request).units.begin(cause_of(request, who)) as work:
        dispute = await store.lock_dispute(work, dispute_id, who.customer_id) if is_id(dispute_id) else None
        if dispute is None:
            raise not_found("dispute", dispute_id)
        if what == "accepted" and not dispute.decided:
            await _creditable(work, dispute)
        decided = await decide(work, dispute, what, author_of(who), text)
        row = await store.load_dispute(work.connection, dispute_id, who.customer_id)
    return answer(view_of_dispute(row), seen=f"{decided.id}:{decided.sequence}")


@router.post("/v1/disputes/{dispute_id}/review", response_model=DisputeView, tags=["tickets"])
async def review_dispute(
    dispute_id: str, request: Request, who: WorkTickets, asked: DisputeDecision | None = None
) -> Response:
    """Say that the company looks into a dispute."""
    return await _decide(dispute_id, request, who, "under_review", asked)


@router.post("/v1/disputes/{dispute_id}/accept", response_model=DisputeView, tags=["tickets"])
async def accept_dispute(
    dispute_id: str, request: Request, who: WorkTickets, asked: DisputeDecision | None = None
) -> Response:
    """Accept a dispute: invoicing issues a credit note. `if_accepted` of the dispute shows what it will do.

    What can be paid now of the invoice is credited; what is paid already becomes the customer's credit. While a payment
    under way may pay what is disputed, the credit note waits for its end. If the invoice is voided or credited in full
    at the same moment, no note comes, and the dispute has `nothing_to_credit`.
    """
    return await _decide(dispute_id, request, who, "accepted", asked)


@router.post("/v1/disputes/{dispute_id}/reject", response_model=DisputeView, tags=["tickets"])
async def reject_dispute(
    dispute_id: str, request: Request, who: WorkTickets, asked: DisputeDecision | None = None
) -> Response:
    """Reject a dispute: all is owed. `text` says why."""
    return await _decide(dispute_id, request, who, "rejected", asked)


@router.post("/v1/disputes/{dispute_id}/withdraw", response_model=DisputeView, tags=["tickets"])
async def withdraw_dispute(
    dispute_id: str, request: Request, who: OwnTickets, asked: DisputeDecision | None = None
) -> Response:
    """Take a dispute back."""
    return await _decide(dispute_id, request, who, "withdrawn", asked)
