"""Invoicing over HTTP: parse, authorise, one command or query, render."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import invalid_cursor, read_cursor, write_cursor
from chassis.http.identity import Identity, allow
from chassis.http.problems import Problem, not_found
from chassis.messaging.work import Work
from chassis.service import cause_of, running_of
from contracts.ids import is_id
from contracts.invoicing import CreateCustomer, Day, IssueInvoice
from invoicing import issuing, messages, store, timeline
from invoicing.domain import Invoice, Refused

router = APIRouter(route_class=StrictRoute)

ReadInvoices = Annotated[Identity, allow("invoices:read")]
WriteInvoices = Annotated[Identity, allow("invoices:write")]
ReadCustomers = Annotated[Identity, allow("customers:read")]
WriteCustomers = Annotated[Identity, allow("customers:write")]


class Customer(BaseModel):
    id: str
    external_id: str
    name: str
    email: str | None
    address: str | None
    account_manager: str | None
    created_at: datetime


class Customers(BaseModel):
    items: list[Customer]


class InvoiceSummary(BaseModel):
    """Amounts are minor units of `currency`."""

    id: str
    customer_id: str
    number: str
    status: Literal["draft", "open", "in_progress", "paid", "void", "uncollectible"]
    overdue: bool
    currency: str
    issued_on: date
    due_on: date
    po_number: str | None
    total_minor: int
    credited_minor: int
    settled_minor: int
    balance_minor: int
    pending_minor: int
    payable_now_minor: int


class Line(BaseModel):
    description: str
    quantity: str
    unit_price_minor: int
    tax_rate: str
    net_minor: int


class Tax(BaseModel):
    tax_rate: str
    net_minor: int
    tax_minor: int


class InvoiceDetail(InvoiceSummary):
    lines: list[Line]
    taxes: list[Tax]
    terms: str | None
    notes: str | None
    created_at: datetime


class Happened(BaseModel):
    """`status`: the invoice's after it; null where it is about its payment or autopay."""

    at: datetime
    event: str
    status: str | None
    payment_id: str | None
    text: str


class UnderWay(BaseModel):
    """A payment that holds a part of the invoice, in minor units of its currency, until it is confirmed."""

    payment_id: str
    amount_minor: int
    expected_by: date | None


class InvoiceTimeline(BaseModel):
    """`items`: what happened, oldest first. `next_step`: what it waits for; null for nothing."""

    invoice_id: str
    status: Literal["draft", "open", "in_progress", "paid", "void", "uncollectible"]
    next_step: str | None
    under_way: list[UnderWay]
    items: list[Happened]


class Invoices(BaseModel):
    items: list[InvoiceSummary]
    next_cursor: str | None


class AgingOfCurrency(BaseModel):
    """Minor units. `outstanding` = `amount_due` + the four buckets; `balance_due` = `outstanding` - `credits`."""

    currency: str
    outstanding_minor: int
    amount_due_minor: int
    days_0_30_minor: int
    days_31_60_minor: int
    days_61_90_minor: int
    over_90_minor: int
    credits_minor: int
    balance_due_minor: int


class Aging(BaseModel):
    as_of: date
    currencies: list[AgingOfCurrency]


def _problem(refused: Refused) -> Problem:
    """A refusal as people read it: 409 where the state is in the way, 422 where the request is at fault."""
    return Problem(
        status=409 if refused.conflict else 422,
        slug=refused.code,
        title=refused.code.replace("-", " ").capitalize(),
        detail=refused.detail,
        errors=[{"field": refused.field, "message": refused.detail}] if refused.field else None,
    )


def _json(body: Any, status: int = 200, seen: str | None = None) -> Response:
    headers = {"Paidup-Seen": seen} if seen else None
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def _forbid_one_customer(identity: Identity) -> None:
    if identity.customer_id is not None:
        raise Problem(
            status=403, slug="forbidden", title="Forbidden", detail="This key is for one customer; it may only read."
        )


def _summary(invoice: Invoice, row: dict[str, Any], today: date) -> dict[str, Any]:
    return {
        "id": invoice.id,
        "customer_id": invoice.customer_id,
        "number": invoice.number,
        "status": invoice.status,
        "overdue": invoice.overdue(today),
        "currency": invoice.currency,
        "issued_on": invoice.issued_on,
        "due_on": invoice.due_on,
        "po_number": row["po_number"],
        "total_minor": invoice.total,
        "credited_minor": invoice.credited,
        "settled_minor": invoice.settled,
        "balance_minor": invoice.balance,
        "pending_minor": invoice.pending,
        "payable_now_minor": invoice.payable_now,
    }


@router.post(
    "/v1/customers", status_code=201, response_model=Customer, responses={200: {"model": Customer}}, tags=["customers"]
)
async def create_customer(asked: CreateCustomer, request: Request, identity: WriteCustomers) -> Response:
    """Create a customer. The same external id with the same body answers 200 with the customer that is there."""
    _forbid_one_customer(identity)
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        try:
            customer, new = await issuing.create_customer(asked, work)
        except Refused as refused:
            raise _problem(refused) from None
    return _json(customer, 201 if new else 200, seen=f"{customer['id']}:1")


@router.get("/v1/customers", response_model=Customers, tags=["customers"])
async def find_customers(
    request: Request,
    identity: ReadCustomers,
    external_id: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Response:
    items = await store.find_customers(running_of(request).pool, _clean(external_id), identity.customer_id, limit)
    return _json({"items": items})


@router.get("/v1/customers/{customer_id}", response_model=Customer, tags=["customers"])
async def get_customer(customer_id: str, request: Request, identity: ReadCustomers) -> Response:
    return _json(await _own_customer(customer_id, request, identity))


async def _own_customer(customer_id: str, request: Request, identity: Identity) -> dict[str, Any]:
    mine = is_id(customer_id) and identity.customer_id in (None, customer_id)
    customer = await store.load_customer(running_of(request).pool, customer_id) if mine else None
    if customer is None:
        raise not_found("customer", customer_id)
    return customer


@router.get("/v1/customers/{customer_id}/aging", response_model=Aging, tags=["customers"])
async def get_aging(
    customer_id: str, request: Request, identity: ReadInvoices, as_of: Annotated[Day | None, Query()] = None
) -> Response:
    """What a customer owes by days past due, on a day of the company's calendar (today, unless given)."""
    await _own_customer(customer_id, request, identity)
    running = running_of(request)
    day = as_of or running.clock.today()
    currencies = await store.load_aging(running.pool, customer_id, day)
    return _json({"as_of": day, "currencies": currencies})


@router.post(
    "/v1/invoices",
    status_code=201,
    response_model=InvoiceDetail,
    responses={200: {"model": InvoiceDetail}},
    tags=["invoices"],
)
async def issue_invoice(asked: IssueInvoice, request: Request, identity: WriteInvoices) -> Response:
    """Issue an invoice, or keep a draft. The same number with the same body answers 200 with the one that is there."""
    _forbid_one_customer(identity)
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        outcome = (await issuing.issue([asked], work))[0]
        if isinstance(outcome, Refused):
            raise _problem(outcome)
        detail = await _detail(work.connection, outcome.invoice.id, None, work.clock.today())
    return _json(detail, 200 if outcome.repeated else 201, seen=_seen(outcome.invoice))


def _seen(invoice: Invoice) -> str:
    return f"{invoice.id}:{invoice.sequence}"


async def _detail(connection: Any, invoice_id: str, only: str | None, today: date) -> dict[str, Any]:
    row = await store.load_invoice(connection, invoice_id, only) if is_id(invoice_id) else None
    if row is None:
        raise not_found("invoice", invoice_id)
    document = {name: row[name] for name in ("terms", "notes", "created_at")}
    lists = {name: orjson.loads(row[name]) for name in ("lines", "taxes")}
    return {**_summary(store.invoice_of(row), row, today), **lists, **document}


@router.get("/v1/invoices/{invoice_id}", response_model=InvoiceDetail, tags=["invoices"])
async def get_invoice(invoice_id: str, request: Request, identity: ReadInvoices) -> Response:
    running = running_of(request)
    return _json(await _detail(running.pool, invoice_id, identity.customer_id, running.clock.today()))


@router.get("/v1/invoices/{invoice_id}/timeline", response_model=InvoiceTimeline, tags=["invoices"])
async def invoice_timeline(invoice_id: str, request: Request, identity: ReadInvoices) -> Response:
    """What happened to an invoice, from its events, and what comes next."""
    running, today = running_of(request), running_of(request).clock.today()
    row = await store.load_invoice(running.pool, invoice_id, identity.customer_id) if is_id(invoice_id) else None
    if row is None:
        raise not_found("invoice", invoice_id)
    invoice = store.invoice_of(row)
    history = await store.load_history(running.pool, invoice_id, invoice.customer_id)
    body = {
        "invoice_id": invoice.id,
        "status": invoice.status,
        "next_step": timeline.next_step(invoice, history.under_way, today, history.events),
        "under_way": [
            {"payment_id": each["payment_id"], "amount_minor": each["amount"], "expected_by": each["expected_by"]}
            for each in history.under_way
        ],
        "items": [_happened(event) for event in history.events if event["type"] != "AutopayChanged"],
    }
    return _json(body)


def _happened(event: dict[str, Any]) -> dict[str, Any]:
    own, body = "before" in event, event["payload"]
    return {
        "at": event["at"],
        "event": event["type"],
        "status": body["status"] if own else None,
        "payment_id": body.get("payment_id"),
        "text": timeline.told(event["type"], body, event["before"]) if own else timeline.heard(event["type"], body),
    }


async def _change(invoice_id: str, request: Request, identity: Identity, what: Literal["issue", "void"]) -> Response:
    _forbid_one_customer(identity)
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        row = await store.load_invoice(work.connection, invoice_id, None) if is_id(invoice_id) else None
        if row is None:
            raise not_found("invoice", invoice_id)
        invoice = await decide(store.invoice_of(row), work, what)
        detail = await _detail(work.connection, invoice_id, None, work.clock.today())
    return _json(detail, seen=_seen(invoice))


async def decide(found: Invoice, work: Work, what: Literal["issue", "void"]) -> Invoice:
    """`found` tells which invoice and whose; what it is now, is read again under the locks."""
    await store.lock_customers(work, [found.customer_id])
    book = await store.load_book(work, invoices=[found.id])
    invoice, today = book.invoices[found.id], work.clock.today()
    if invoice.state == "void" if what == "void" else invoice.state not in ("draft", "void"):
        return invoice  # asked again: its answer may have been lost
    try:
        changed = book.issue(invoice) if what == "issue" else book.void(invoice, today)
    except Refused as refused:
        raise _problem(refused) from None
    work.emit(*messages.of(book.take_facts(), work.now))
    await store.save_book(work, book)
    return changed


@router.post("/v1/invoices/{invoice_id}/issue", response_model=InvoiceDetail, tags=["invoices"])
async def issue_draft(invoice_id: str, request: Request, identity: WriteInvoices) -> Response:
    """Issue a draft. One that is issued already is answered as it is."""
    return await _change(invoice_id, request, identity, "issue")


@router.post("/v1/invoices/{invoice_id}/void", response_model=InvoiceDetail, tags=["invoices"])
async def void_invoice(invoice_id: str, request: Request, identity: WriteInvoices) -> Response:
    """Withdraw an invoice of which nothing is paid or under way. One that is void already is answered as it is."""
    return await _change(invoice_id, request, identity, "void")


@router.get("/v1/invoices", response_model=Invoices, tags=["invoices"])
async def list_invoices(
    request: Request,
    identity: ReadInvoices,
    customer_id: Annotated[str | None, Query(max_length=36)] = None,
    tab: Literal["all", "open", "in_progress", "paid"] = "all",
    status: Literal["unpaid", "overdue", "paid"] | None = None,
    q: Annotated[str | None, Query(max_length=100)] = None,
    sort: Literal["issued_on", "-issued_on", "due_on", "-due_on", "number", "-number"] = "-issued_on",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Invoices, newest first. `next_cursor` asks for the next page; it is null on the last one."""
    running = running_of(request)
    whose = _whose(customer_id, identity)
    today = running.clock.today()
    drafts = identity.customer_id is None
    page = store.Page(whose, tab, status, _clean(q), sort, limit, _read_cursor(cursor, sort), drafts)
    rows = await store.list_invoices(running.pool, page, today)
    items = [_summary(store.invoice_of(row), row, today) for row in rows[:limit]]
    more = len(rows) > limit
    return _json({"items": items, "next_cursor": _write_cursor(items[-1], sort) if more else None})


def _whose(customer_id: str | None, identity: Identity) -> str | None:
    if customer_id is not None and not is_id(customer_id):
        raise not_found("customer", customer_id)
    if identity.customer_id is not None and customer_id not in (None, identity.customer_id):
        raise not_found("customer", customer_id or "")
    return identity.customer_id or customer_id


def _clean(text: str | None) -> str | None:
    """PostgreSQL's text holds no NUL: nothing can match one."""
    if text is not None and "\x00" in text:
        raise Problem(status=422, slug="invalid-request", title="Invalid request", detail="The query holds a NUL byte.")
    return text


def _write_cursor(last: dict[str, Any], sort: str) -> str:
    return write_cursor(sort, str(last[sort.lstrip("-")]), last["id"])


def _read_cursor(cursor: str | None, sort: str) -> tuple[Any, str] | None:
    if not cursor:
        return None
    was, value, last = read_cursor(cursor, 3)
    try:
        after = value if sort.lstrip("-") == "number" else date.fromisoformat(value)
    except ValueError:
        raise invalid_cursor() from None
    if was != sort or not is_id(last):
        raise invalid_cursor()
    return after, last
