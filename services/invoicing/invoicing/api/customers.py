"""Customers over HTTP: create, find and change them; what they owe."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import invalid_cursor, read_cursor, write_cursor
from chassis.http.identity import Identity
from chassis.http.problems import not_found, problem_of
from chassis.running import cause_of, running_of
from contracts.ids import is_id
from contracts.invoicing import Called, CreateCustomer, Day, Email, LongText, Text
from contracts.metadata import Metadata
from contracts.normal import normal_form
from contracts.refusals import Refusal
from invoicing import issuing, store
from invoicing.api.edge import ReadCustomers, ReadInvoices, WriteCustomers, answer, without_nul

router = APIRouter(route_class=StrictRoute)


class Customer(BaseModel):
    id: str
    external_id: str
    name: str
    email: str | None
    address: str | None
    account_manager: str | None
    metadata: dict[str, str]
    created_at: datetime


class BalanceOfCurrency(BaseModel):
    """Of today, as in aging: `overdue` is a part of `outstanding`. `in_progress`: what payments under way hold."""

    currency: str
    outstanding_minor: int
    overdue_minor: int
    in_progress_minor: int


class CustomerRow(Customer):
    balances: Annotated[
        list[BalanceOfCurrency] | None,
        Field(description="By currency, where anything is owed; null without the scope `invoices:read`"),
    ]


class Customers(BaseModel):
    items: list[CustomerRow]
    next_cursor: str | None


class ChangeCustomer(BaseModel):
    """Fields that are left out stay; null empties a field."""

    model_config = ConfigDict(extra="forbid")

    name: Called = Field(default_factory=str)
    email: Email | None = None
    address: LongText | None = None
    account_manager: Text | None = None
    metadata: Metadata | None = None


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


class SummaryOfCurrency(AgingOfCurrency):
    """Aging of today, and what can be paid. `payable_…`: invoices of which payments under way do not hold all.

    `overdue_payable_…`: what is overdue and can be paid, without what is in dispute.
    """

    in_progress_minor: int
    payable_now_minor: int
    disputed_minor: Annotated[int, Field(description="Of `payable_now_minor`, what is in dispute")]
    payable_count: int
    in_progress_count: int
    overdue_count: int
    overdue_payable_count: int
    overdue_payable_minor: int


class SummaryCounts(BaseModel):
    """As the tabs and the filter `overdue` of the list of invoices count."""

    open: int
    in_progress: int
    overdue: int


class LastInvoice(BaseModel):
    id: str
    number: str
    issued_on: date
    total_minor: int
    currency: str


class LastPaid(BaseModel):
    """The newest money that was confirmed, without surcharge: what of it has not gone back."""

    payment_id: str
    currency: str
    amount_minor: int
    on: date


class CreditNote(BaseModel):
    """What was credited of an invoice. Amounts are minor units of `currency`."""

    id: str
    number: str
    issued_on: date
    invoice_id: str
    invoice_number: str
    dispute_id: Annotated[str, Field(description="The dispute that was accepted")]
    currency: str
    amount_minor: int
    applied_minor: Annotated[int, Field(description="Of it, what its invoice took at once")]
    balance_minor: Annotated[int, Field(description="Of the rest, what has paid nothing yet: the customer's credit")]


class CreditNotes(BaseModel):
    items: list[CreditNote]
    next_cursor: str | None


class CustomerSummary(BaseModel):
    customer_id: str
    name: str
    as_of: date
    currencies: list[SummaryOfCurrency]
    counts: SummaryCounts
    last_invoice: LastInvoice | None
    last_paid: LastPaid | None


class Lately(BaseModel):
    """One thing that happened, on a day. Amounts are minor units of `currency`.

    invoice_issued     `invoice_id`, `number` and `due_on` are the invoice's
    payment_confirmed  the money of `payment_id` is there; what of it has not gone back, without surcharge
    payment_returned   so much of `payment_id` went back: its invoices are owed again
    """

    code: Literal["invoice_issued", "payment_confirmed", "payment_returned"]
    on: date
    invoice_id: str | None
    payment_id: str | None
    number: str | None
    due_on: date | None
    amount_minor: int
    currency: str


class Activity(BaseModel):
    items: list[Lately]


@router.post(
    "/v1/customers", status_code=201, response_model=Customer, responses={200: {"model": Customer}}, tags=["customers"]
)
async def create_customer(asked: CreateCustomer, request: Request, identity: WriteCustomers) -> Response:
    """Create a customer. If the external id exists with the same body, the answer is 200 with that customer."""
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        try:
            customer, new = await issuing.create_customer(asked, work)
        except Refusal as refused:
            raise problem_of(refused) from None
    return answer(customer, 201 if new else 200, seen=f"{customer['id']}:1")


@router.get("/v1/customers", response_model=Customers, tags=["customers"])
async def list_customers(
    request: Request,
    identity: ReadCustomers,
    external_id: Annotated[str | None, Query(max_length=200)] = None,
    q: Annotated[str | None, Query(max_length=100, description="A part of a name, external id or e-mail")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """List customers by external id. Send `next_cursor` as `cursor` for the next page; null on the last page."""
    after = read_cursor(cursor, 1)[0] if cursor else None
    called = _spellings(without_nul(external_id)) if external_id is not None else None
    asked = store.Customers(called, without_nul(q), identity.customer_id, after, limit)
    running, reads = running_of(request), running_of(request).reads(identity)
    rows = await store.list_customers(reads, asked)
    items, more = rows[:limit], len(rows) > limit
    cursor = write_cursor(items[-1]["external_id"]) if more else None
    owed = None
    if identity.may("invoices:read"):
        owed = await store.load_balances(reads, [one["id"] for one in items], running.clock.today())
    shown = [{**one, "balances": owed.get(one["id"], []) if owed is not None else None} for one in items]
    return answer({"items": shown, "next_cursor": cursor})


def _spellings(external_id: str | None) -> list[str]:
    """The text as it was sent, for customers stored before there was a normal form; and its normal form."""
    try:
        return sorted({external_id or "", normal_form(external_id or "")})
    except ValueError:
        return [external_id or ""]


@router.get("/v1/customers/{customer_id}", response_model=Customer, tags=["customers"])
async def get_customer(customer_id: str, request: Request, identity: ReadCustomers) -> Response:
    """Show a customer."""
    return answer(await _own_customer(customer_id, request, identity))


@router.patch("/v1/customers/{customer_id}", response_model=Customer, tags=["customers"])
async def change_customer(
    customer_id: str, asked: ChangeCustomer, request: Request, identity: WriteCustomers
) -> Response:
    """Change a customer. Fields that are left out stay, null empties a field. The external id can't be changed."""
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        changed = await issuing.change_customer(customer_id, asked.model_dump(exclude_unset=True), work)
    if changed is None:
        raise not_found("customer", customer_id)
    customer, sequence = changed
    return answer(customer, seen=f"{customer_id}:{sequence}")


async def _own_customer(customer_id: str, request: Request, identity: Identity) -> dict[str, Any]:
    mine = is_id(customer_id) and identity.sees(customer_id)
    customer = await store.load_customer(running_of(request).reads(identity), customer_id) if mine else None
    if customer is None:
        raise not_found("customer", customer_id)
    return customer


@router.get("/v1/customers/{customer_id}/aging", response_model=Aging, tags=["customers"])
async def get_aging(
    customer_id: str, request: Request, identity: ReadInvoices, as_of: Annotated[Day | None, Query()] = None
) -> Response:
    """Show what a customer owes on a day (today, unless given), by currency and days past due."""
    await _own_customer(customer_id, request, identity)
    running = running_of(request)
    day = as_of or running.clock.today()
    currencies = await store.load_aging(running.reads(identity), customer_id, day)
    return answer({"as_of": day, "currencies": currencies})


@router.get("/v1/customers/{customer_id}/summary", response_model=CustomerSummary, tags=["customers"])
async def get_summary(customer_id: str, request: Request, identity: ReadInvoices) -> Response:
    """Show what each page shows of a customer: aging of today, what can be paid, counts, the last invoice and money."""
    customer, running = await _own_customer(customer_id, request, identity), running_of(request)
    today = running.clock.today()
    summary = await store.load_summary(running.reads(identity), customer_id, today)
    return answer({"customer_id": customer_id, "name": customer["name"], "as_of": today, **summary})


@router.get("/v1/customers/{customer_id}/credit-notes", response_model=CreditNotes, tags=["customers"])
async def list_credit_notes(
    customer_id: str,
    request: Request,
    identity: ReadInvoices,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=36)] = None,
) -> Response:
    """List a customer's credit notes, the newest first. Send `next_cursor` as `cursor` for the next page."""
    await _own_customer(customer_id, request, identity)
    if cursor is not None and not is_id(cursor):
        raise invalid_cursor()
    found = await store.list_credit_notes(running_of(request).reads(identity), customer_id, cursor, limit + 1)
    items, more = found[:limit], len(found) > limit
    return answer({"items": items, "next_cursor": items[-1]["id"] if more else None})


@router.get("/v1/customers/{customer_id}/activity", response_model=Activity, tags=["customers"])
async def get_activity(customer_id: str, request: Request, identity: ReadInvoices) -> Response:
    """Show the ten newest things that happened: invoices issued, payments confirmed, and what of them went back."""
    await _own_customer(customer_id, request, identity)
    running = running_of(request)
    return answer({"items": await store.load_activity(running.reads(identity), customer_id, running.clock.today())})
