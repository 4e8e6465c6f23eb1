"""One invoice over HTTP: issue, show, edit (a draft) and void it; its timeline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from chassis.db.reads import Reads
from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity
from chassis.http.problems import not_found, problem_of
from chassis.messaging.work import Work
from chassis.running import cause_of, running_of
from contracts.ids import is_id
from contracts.invoicing import Currency, Day, IssueInvoice, LineRequest, LongText, MostLines, Text
from contracts.metadata import Metadata
from contracts.normal import Name
from contracts.refusals import Refusal
from invoicing import drafts, issuing, messages, store, timeline
from invoicing.api.edge import ReadInvoices, WriteInvoices, answer
from invoicing.api.lists import InvoiceSummary, Status, summary
from invoicing.domain import Invoice

router = APIRouter(route_class=StrictRoute)


class Line(BaseModel):
    """`total_minor`: the net with its share of the tax. All lines together come to the invoice's total."""

    description: str
    quantity: str
    unit_price_minor: int
    tax_rate: str
    net_minor: int
    total_minor: int


class Tax(BaseModel):
    tax_rate: str
    net_minor: int
    tax_minor: int


class InvoiceDetail(InvoiceSummary):
    lines: list[Line]
    taxes: list[Tax]
    terms: str | None
    notes: str | None
    metadata: dict[str, str]
    created_at: datetime


class ChangeInvoice(BaseModel):
    """Fields that are left out stay; null empties a field. `lines` replace all lines."""

    model_config = ConfigDict(extra="forbid")

    number: Name = Field(default_factory=str)
    currency: Currency = Field(default_factory=str)
    issued_on: Day = Field(default_factory=lambda: date.min)
    due_on: Day = Field(default_factory=lambda: date.min)
    lines: MostLines = Field(default_factory=tuple[LineRequest, ...])
    po_number: Text | None = None
    terms: LongText | None = None
    notes: LongText | None = None
    metadata: Metadata | None = None


class VoidInvoice(BaseModel):
    """Why the invoice is voided; the body may be left out."""

    model_config = ConfigDict(extra="forbid")

    reason: Text | None = None


class Happened(BaseModel):
    """`status`: of the invoice after this event; null if the event is about its payment or autopay.

    `text` is `code` with its `values` in English: render these for another language.
    """

    at: datetime
    event: str
    status: str | None
    payment_id: str | None
    code: str
    values: dict[str, str | int]
    text: str


class UnderWay(BaseModel):
    """A payment that holds a part of the invoice, in minor units of its currency, until it is confirmed."""

    payment_id: str
    amount_minor: int
    expected_by: date | None


class InvoiceTimeline(BaseModel):
    """`items`: what happened, oldest first. `next_step`: what it waits for, beside its code and values, or null."""

    invoice_id: str
    status: Status
    next_step: str | None
    next_step_code: str | None
    next_step_values: dict[str, str | int]
    under_way: list[UnderWay]
    items: list[Happened]


@router.post(
    "/v1/invoices",
    status_code=201,
    response_model=InvoiceDetail,
    responses={200: {"model": InvoiceDetail}},
    tags=["invoices"],
)
async def issue_invoice(asked: IssueInvoice, request: Request, identity: WriteInvoices) -> Response:
    """Issue an invoice, or keep a draft. If the number exists with the same body, the answer is 200 with it."""
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        outcome = (await issuing.issue([asked], work))[0]
        if isinstance(outcome, Refusal):
            raise problem_of(outcome)
        detail = await _detail(work.connection, outcome.invoice.id, None, work.clock.today())
    return answer(detail, 200 if outcome.repeated else 201, seen=_seen(outcome.invoice))


def _seen(invoice: Invoice) -> str:
    return f"{invoice.id}:{invoice.sequence}"


async def _detail(connection: Reads, invoice_id: str, only: str | None, today: date) -> dict[str, Any]:
    row = await store.load_invoice(connection, invoice_id, only) if is_id(invoice_id) else None
    if row is None:
        raise not_found("invoice", invoice_id)
    document = {name: row[name] for name in ("terms", "notes", "created_at")}
    read = {name: orjson.loads(row[name]) for name in ("lines", "taxes", "metadata")}
    totals = store.totals_of_lines(read["lines"], read["taxes"])
    lines = [{**line, "total_minor": total} for line, total in zip(read["lines"], totals, strict=True)]
    return {**summary(store.invoice_of(row), row, today), **read, **document, "lines": lines}


@router.get("/v1/invoices/{invoice_id}", response_model=InvoiceDetail, tags=["invoices"])
async def get_invoice(invoice_id: str, request: Request, identity: ReadInvoices) -> Response:
    """Show an invoice with its lines."""
    running = running_of(request)
    return answer(await _detail(running.reads(identity), invoice_id, identity.customer_id, running.clock.today()))


@router.patch("/v1/invoices/{invoice_id}", response_model=InvoiceDetail, tags=["invoices"])
async def change_invoice(invoice_id: str, asked: ChangeInvoice, request: Request, identity: WriteInvoices) -> Response:
    """Edit a draft. Fields left out stay, null empties a field. Of an issued invoice only `metadata` changes."""
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        row = await _locked(invoice_id, work)
        try:
            await drafts.change(row, asked.model_dump(exclude_unset=True, mode="json"), work)
        except Refusal as refused:
            raise problem_of(refused) from None
        detail = await _detail(work.connection, invoice_id, None, work.clock.today())
    return answer(detail)


@router.delete("/v1/invoices/{invoice_id}", status_code=204, tags=["invoices"])
async def delete_invoice(invoice_id: str, request: Request, identity: WriteInvoices) -> Response:
    """Delete a draft. An issued invoice can only be voided, so that its number stays explained."""
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        row = await _locked(invoice_id, work)
        try:
            await drafts.delete(store.invoice_of(row), work)
        except Refusal as refused:
            raise problem_of(refused) from None
    return Response(status_code=204)


async def _locked(invoice_id: str, work: Work) -> dict[str, Any]:
    row = await store.load_invoice(work.connection, invoice_id, None, lock=True) if is_id(invoice_id) else None
    if row is None:
        raise not_found("invoice", invoice_id)
    return row


@router.get("/v1/invoices/{invoice_id}/timeline", response_model=InvoiceTimeline, tags=["invoices"])
async def invoice_timeline(invoice_id: str, request: Request, identity: ReadInvoices) -> Response:
    """Show what happened to an invoice, event by event, and what comes next."""
    running, today = running_of(request), running_of(request).clock.today()
    reads = running.reads(identity)
    row = await store.load_invoice(reads, invoice_id, identity.customer_id) if is_id(invoice_id) else None
    if row is None:
        raise not_found("invoice", invoice_id)
    invoice = store.invoice_of(row)
    history = await store.load_history(reads, invoice_id, invoice.customer_id)
    step = timeline.next_step(invoice, history.under_way, today, history.events)
    body = {
        "invoice_id": invoice.id,
        "status": invoice.status,
        "next_step": step.text if step else None,
        "next_step_code": step.code if step else None,
        "next_step_values": step.plain_values if step else {},
        "under_way": [
            {"payment_id": each["payment_id"], "amount_minor": each["amount"], "expected_by": each["expected_by"]}
            for each in history.under_way
        ],
        "items": [_happened(event, line) for event, line in timeline.shown(history.events)],
    }
    return answer(body)


def _happened(event: Mapping[str, Any], line: timeline.Line) -> dict[str, Any]:
    own, body = "before" in event, event["payload"]
    return {
        "at": event["at"],
        "event": event["type"],
        "status": body["status"] if own else None,
        "payment_id": body.get("payment_id"),
        "code": line.code,
        "values": line.plain_values,
        "text": line.text,
    }


async def _change(
    invoice_id: str, request: Request, identity: Identity, what: Literal["issue", "void"], reason: str | None = None
) -> Response:
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        row = await store.load_invoice(work.connection, invoice_id, None) if is_id(invoice_id) else None
        if row is None:
            raise not_found("invoice", invoice_id)
        invoice = await decide(store.invoice_of(row), work, what, reason)
        detail = await _detail(work.connection, invoice_id, None, work.clock.today())
    return answer(detail, seen=_seen(invoice))


async def decide(found: Invoice, work: Work, what: Literal["issue", "void"], reason: str | None = None) -> Invoice:
    """`found` names the invoice and its customer. Its state is read again under the locks."""
    await store.lock_customers(work, [found.customer_id])
    book = await store.load_book(work, invoices=[found.id], disputed=[found.id] if what == "void" else ())
    if found.id not in book.invoices:
        raise not_found("invoice", found.id)  # a draft that was deleted meanwhile
    invoice, today = book.invoices[found.id], work.clock.today()
    if invoice.state == "void" if what == "void" else invoice.state not in ("draft", "void"):
        return invoice  # asked again: its answer may have been lost
    lines = (await store.load_documents(work.connection, [found.id]))[found.id].line_totals if what == "issue" else None
    try:
        changed = book.issue(invoice, lines) if what == "issue" else book.void(invoice, today, reason)
    except Refusal as refused:
        raise problem_of(refused) from None
    work.emit(*messages.of(book.take_facts(), work.now))
    await store.save_book(work, book)
    return changed


@router.post("/v1/invoices/{invoice_id}/issue", response_model=InvoiceDetail, tags=["invoices"])
async def issue_draft(invoice_id: str, request: Request, identity: WriteInvoices) -> Response:
    """Issue a draft. If it is issued already, the answer is the invoice as it is."""
    return await _change(invoice_id, request, identity, "issue")


@router.post("/v1/invoices/{invoice_id}/void", response_model=InvoiceDetail, tags=["invoices"])
async def void_invoice(
    invoice_id: str, request: Request, identity: WriteInvoices, asked: VoidInvoice | None = None
) -> Response:
    """Void an invoice of which nothing is paid, credited or under way. If it is void already, nothing changes.

    The customer sees the reason, if there is one, in the invoice's timeline.
    """
    return await _change(invoice_id, request, identity, "void", asked.reason if asked else None)
