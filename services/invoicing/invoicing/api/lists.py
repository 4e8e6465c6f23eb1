"""Lists of invoices over HTTP: tabs, filters, search, sorting, cursors, counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import invalid_cursor, read_cursor, write_cursor
from chassis.http.identity import Identity, whose
from chassis.http.problems import refused
from chassis.running import running_of
from contracts.ids import is_id
from contracts.invoicing import Currency, Day
from invoicing import store
from invoicing.api.edge import ReadInvoices, answer, without_nul
from invoicing.domain import Invoice

router = APIRouter(route_class=StrictRoute)

Status = Literal["draft", "open", "in_progress", "paid", "void", "uncollectible"]
Wanted = Literal["draft", "open", "in_progress", "paid", "void", "uncollectible", "unpaid", "overdue"]
Age = Literal["amount_due", "days_0_30", "days_31_60", "days_61_90", "over_90"]
Sort = Literal[
    "issued_on", "-issued_on", "due_on", "-due_on", "number", "-number", "total", "-total", "balance", "-balance"
]
AMOUNTS = ("total", "balance")


class InvoiceSummary(BaseModel):
    """Amounts are minor units of `currency`."""

    id: str
    customer_id: str
    number: str
    status: Status
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
    disputed_minor: Annotated[
        int, Field(description="Of the balance, what is in dispute: it can be paid, but need not be")
    ]
    held_minor: Annotated[
        int,
        Field(
            description="Of the balance, what reminders and autopay leave out: what is in dispute, and for five "
            "banking days what a rejected dispute was about"
        ),
    ]
    held_until: Annotated[date | None, Field(description="The last day of a hold after a rejection")]
    expected_by: Annotated[
        date | None,
        Field(description="By when all of `pending_minor` is to be confirmed; null: nothing is, or no day is known"),
    ]


class Invoices(BaseModel):
    items: list[InvoiceSummary]
    next_cursor: str | None


class InvoiceCounts(BaseModel):
    """How many invoices each tab has; `draft` is for callers of no customer.

    `unpaid` and `overdue` are what the list would have with this `status`, whichever one was asked for.
    """

    all: int
    draft: int
    open: int
    in_progress: int
    paid: int
    overdue: int
    unpaid: int


def summary(invoice: Invoice, row: dict[str, Any], today: date) -> dict[str, Any]:
    """An invoice as lists show it."""
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
        "disputed_minor": invoice.disputed,
        **_held(invoice, today),
        "expected_by": row["expected_by"],
    }


def _held(invoice: Invoice, today: date) -> dict[str, Any]:
    """What is held today: after the last day of a hold, what is in dispute alone."""
    if invoice.held_until is None or invoice.held_until < today:
        return {"held_minor": invoice.disputed, "held_until": None}
    return {"held_minor": invoice.held, "held_until": invoice.held_until}


async def chosen(
    request: Request,
    customer_id: Annotated[str | None, Query(max_length=36)] = None,
    currency: Annotated[Currency | None, Query()] = None,
    issued_from: Annotated[Day | None, Query()] = None,
    issued_to: Annotated[Day | None, Query()] = None,
    due_from: Annotated[Day | None, Query()] = None,
    due_to: Annotated[Day | None, Query()] = None,
    age: Annotated[Age | None, Query(description="A bucket of today's aging")] = None,
    q: Annotated[
        str | None,
        Query(
            max_length=100,
            description="Of one customer: a part of the number, the PO number or a line's text, in any case, or the "
            "total. Of all customers: the beginning of the number",
        ),
    ] = None,
) -> store.Filter:
    """The filters that lists and counts share. Days are inclusive."""
    for first, last, field in ((issued_from, issued_to, "issued_to"), (due_from, due_to, "due_to")):
        if first and last and last < first:
            raise refused(f"{last} lies before {first}", field=field)
    return store.Filter(
        customer_id, drafts=False, today=running_of(request).clock.today(), currency=currency, issued_from=issued_from,
        issued_to=issued_to, due_from=due_from, due_to=due_to, age=age, q=without_nul(q),
    )  # fmt: skip


Chosen = Annotated[store.Filter, Depends(chosen)]
OfStatus = Annotated[
    Wanted | None,
    Query(description="As invoices are answered; or `unpaid`: open with a balance, or `overdue`: that past due"),
]


def _seen_by(identity: Identity, asked: store.Filter, **more: Any) -> store.Filter:
    """The filter bound to what the identity may see: a customer's own invoices, and no drafts."""
    mine = whose(asked.customer_id, identity)
    return replace(asked, customer_id=mine, drafts=identity.customer_id is None, **more)


@router.get("/v1/invoices", response_model=Invoices, tags=["invoices"])
async def list_invoices(
    request: Request,
    identity: ReadInvoices,
    asked: Chosen,
    tab: Literal["all", "open", "in_progress", "paid"] = "all",
    status: OfStatus = None,
    sort: Sort = "-issued_on",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """List invoices, the newest first. Send `next_cursor` as `cursor` for the next page; null on the last page."""
    wanted = _seen_by(identity, asked, tab=tab, status=status)
    if sort.endswith(AMOUNTS) and wanted.customer_id is None:
        raise refused("invoices are sorted by amounts for one customer: name it by customer_id", field="sort")
    page = store.Page(wanted, sort, limit, _read_cursor(cursor, sort))
    rows = await store.list_invoices(running_of(request).reads(identity), page)
    items = [summary(store.invoice_of(row), row, wanted.today) for row in rows[:limit]]
    more = len(rows) > limit
    return answer({"items": items, "next_cursor": _write_cursor(items[-1], sort) if more else None})


@router.get("/v1/invoices/counts", response_model=InvoiceCounts, tags=["invoices"])
async def count_invoices(request: Request, identity: ReadInvoices, asked: Chosen, status: OfStatus = None) -> Response:
    """Count the invoices of one customer on each tab, with the same filters as the list."""
    wanted = _seen_by(identity, asked, status=status)
    if wanted.customer_id is None:
        raise refused("invoices are counted for one customer: name it", field="customer_id")
    return answer(await store.count_invoices(running_of(request).reads(identity), wanted))


def _column(sort: str) -> str:
    column = sort.lstrip("-")
    return f"{column}_minor" if column in AMOUNTS else column


def _write_cursor(last: dict[str, Any], sort: str) -> str:
    return write_cursor(sort, str(last[_column(sort)]), last["id"])


def _read_cursor(cursor: str | None, sort: str) -> tuple[Any, str] | None:
    if not cursor:
        return None
    was, value, last = read_cursor(cursor, 3)
    if was != sort or not is_id(last):
        raise invalid_cursor()
    return _value(value, sort.lstrip("-")), last


def _value(text: str, column: str) -> Any:
    """The value of a column as a cursor holds it."""
    if column == "number":
        return text
    if column in AMOUNTS:
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise invalid_cursor()
        return int(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid_cursor() from None
