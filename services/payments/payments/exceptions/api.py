"""Exceptions over HTTP: lists, details and who looks at them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import read_instant_cursor, write_cursor
from chassis.http.problems import Problem, not_found, problem_of
from chassis.messaging.work import Work
from chassis.running import cause_of, running_of
from contracts.ids import is_id
from contracts.invoicing import Text
from contracts.refusals import Refusal
from payments.edge import Asked, ReadBooks, WriteBooks, answer
from payments.exceptions import store as exceptions
from payments.exceptions.domain import About, ExceptionClass, remedy
from payments.exceptions.messages import exception_assigned
from payments.exceptions.store import Named

router = APIRouter(route_class=StrictRoute)


class ProposedPart(BaseModel):
    """A part of an invoice. `balance`: of it now; `stays_open`: what is left of that. Null once it is resolved."""

    invoice_id: str
    number: Annotated[str | None, Field(description="Of the invoice; null: it is not known here yet")]
    amount_minor: int
    balance_minor: int | None
    stays_open_minor: int | None


class ProposalView(BaseModel):
    """What the money may be. `score` lies between 0 and 1; the likeliest proposal is the first.

    `payment_id`: a recorded receipt; posting would count it twice. `payment_ids`: recorded receipts that sum to it.
    `payout_id`: a payout of the provider, of no customer. Only `customer_id`: it names invoices of that customer, but
    can't pay them.
    """

    customer_id: str | None
    customer_name: str | None
    invoices: list[ProposedPart]
    score: float
    reasons: list[str]
    payment_id: str | None = None
    payment_ids: list[str] = []
    payout_id: Annotated[str | None, Field(description="the provider's id of a payout")] = None


class LineView(BaseModel):
    """The bank line of an exception.

    `amount_minor`: the whole line, in the exception's currency. If a share of it was voided, the exception is about
    that share alone.
    """

    run_id: str
    place: str
    account: str
    booked_on: date | None
    amount_minor: int
    references: list[str]
    text: str
    payer: str | None


class NoteView(BaseModel):
    at: datetime
    actor: str
    action: str
    detail: str | None


ClassName = Annotated[ExceptionClass, Field(alias="class")]


class ExceptionView(BaseModel):
    """Amounts are in minor units of `currency`; below zero: money that a bank took back.

    missing_here    money that fits nothing known here, or that the bank dates on a future day
    missing_there   a payment that the provider has not confirmed in time, or money of a payout that failed there
    wrong_amount    another amount than the payment, the named invoices or the payout with its trace
    short_payment   less than the invoices that it names
    doubled         it may have counted already, or its invoices are paid or about to be paid
    wrong_currency  another currency than its payment, the named invoices or the payout with its trace
    """

    id: str
    klass: ClassName
    state: Literal["open", "resolved"]
    payment_id: str | None
    provider_id: Annotated[str | None, Field(description="the provider's id of the refund, return or chargeback")]
    payout_line_id: Annotated[str | None, Field(description="the provider's id of a line of a payout")]
    line: LineView | None
    currency: str
    amount_minor: int
    proposals: list[ProposalView]
    remedy: Annotated[str | None, Field(description="what to do about it; null when it is resolved")]
    remedy_code: Annotated[
        str | None,
        Field(description="the stable code of `remedy`"),
    ]
    assigned_to: str | None
    created_at: datetime
    resolved_at: datetime | None


class PaymentOfLine(BaseModel):
    """A payment as which the exception's bank line was posted, or with which it was matched. A voided one is none."""

    id: str
    customer_id: str
    customer_name: Annotated[str | None, Field(description="null: not known here yet, or erased")]
    amount_minor: int
    gone_back_minor: Annotated[int, Field(description="what of it has gone back or is on its way, in minor units")]


class ExceptionDetail(ExceptionView):
    payments: Annotated[list[PaymentOfLine], Field(description="what the bank line is posted as or matched with")] = []
    trail: list[NoteView]


class Exceptions(BaseModel):
    items: list[ExceptionView]
    next_cursor: str | None


class Assignment(Asked):
    """The person who will look at it; null: nobody."""

    assigned_to: Text | None


def view_of_exception(row: Any, named: Named, today: date) -> dict[str, Any]:
    line = {
        "run_id": row["statement_id"],
        "place": row["place"],
        "account": row["account"],
        "booked_on": row["booked_on"],
        "amount_minor": row["line_amount"],
        "references": row["refs"],
        "text": row["text"],
        "payer": row["payer"],
    }
    said = remedy(_about(row, today), row["class"]) if row["state"] == "open" else None
    return {
        "id": row["id"],
        "class": row["class"],
        "state": row["state"],
        "payment_id": row["payment_id"],
        "provider_id": row["provider_id"],
        "payout_line_id": row["payout_line_id"],
        "line": line if row["line_id"] is not None else None,
        "currency": row["currency"],
        "amount_minor": row["amount"],
        "proposals": [_proposal(one, named, open_=row["state"] == "open") for one in orjson.loads(row["proposals"])],
        "remedy": said.text if said else None,
        "remedy_code": said.code if said else None,
        "assigned_to": row["assigned_to"],
        "created_at": row["created_at"],
        "resolved_at": row["resolved_at"],
    }


def _proposal(kept: dict[str, Any], named: Named, *, open_: bool) -> dict[str, Any]:
    parts = [_part(part, named.invoices.get(part["invoice_id"]), open_=open_) for part in kept["invoices"]]
    return {**kept, "customer_name": named.customers.get(kept["customer_id"]), "invoices": parts}


def _part(kept: dict[str, Any], known: tuple[str, int | None] | None, *, open_: bool) -> dict[str, Any]:
    number, balance = known or (None, None)
    balance = balance if open_ else None
    left = max(0, balance - kept["amount_minor"]) if balance is not None else None
    return {**kept, "number": number, "balance_minor": balance, "stays_open_minor": left}


def _about(row: Any, today: date) -> About:
    if row["line_id"] is not None:
        if row["booked_on"] > today:
            return "to come"
        likeliest: dict[str, Any] = next(iter(orjson.loads(row["proposals"])), {})
        if likeliest.get("payout_id"):
            return "paid out"
        return "came in" if row["amount"] > 0 else "went out"
    if row["payout_line_id"] is not None:
        return "payout"
    return "goes back" if row["provider_id"] is not None else "payment"


@router.get("/v1/reconciliation/exceptions", response_model=Exceptions, tags=["reconciliation"])
async def list_exceptions(
    request: Request,
    _: ReadBooks,
    state: Literal["open", "resolved"] | None = None,
    why: Annotated[ExceptionClass | None, Query(alias="class")] = None,
    assigned_to: Annotated[str | None, Query(max_length=200, description="the person as they were assigned")] = None,
    sort: Literal["created_at", "-created_at"] = "created_at",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """List exceptions, the oldest first; the newest first with `-created_at`."""
    asked = exceptions.Filter(state, why, assigned_to, sort.startswith("-"))
    found = await exceptions.list_exceptions(running_of(request).pool, asked, read_instant_cursor(cursor), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    following = write_cursor(last["created_at"].isoformat(), last["id"]) if last else None
    named = await exceptions.load_named(running_of(request).pool, found[:limit])
    today = running_of(request).clock.today()
    items = [view_of_exception(row, named, today) for row in found[:limit]]
    return answer(orjson.dumps({"items": items, "next_cursor": following}), 200)


@router.get("/v1/reconciliation/exceptions/{exception_id}", response_model=ExceptionDetail, tags=["reconciliation"])
async def get_exception(exception_id: str, request: Request, _: ReadBooks) -> Response:
    """Show an exception with its trail: who did what about it, and when."""
    running = running_of(request)
    return answer(await detail_of(running.pool, exception_id, running.clock.today()), 200)


async def detail_of(connection: Any, exception_id: str, today: date) -> bytes:
    row = await exceptions.load_exception(connection, exception_id) if is_id(exception_id) else None
    if row is None:
        raise not_found("exception", exception_id)
    trail = await exceptions.list_notes(connection, exception_id)
    named = await exceptions.load_named(connection, [row])
    payments = await exceptions.list_payments_of_line(connection, row["line_id"]) if row["line_id"] is not None else []
    return orjson.dumps({**view_of_exception(row, named, today), "payments": payments, "trail": trail})


@router.post(
    "/v1/reconciliation/exceptions/{exception_id}/assign", response_model=ExceptionDetail, tags=["reconciliation"]
)
async def assign(exception_id: str, asked: Assignment, request: Request, identity: WriteBooks) -> Response:
    """Assign an exception to a person, or to nobody."""
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        row = await lock_exception(exception_id, work)
        if row["state"] != "open":
            raise resolved_already()
        if asked.assigned_to != row["assigned_to"]:
            given = await exceptions.assign_exception(work, exception_id, asked.assigned_to)
            if asked.assigned_to is not None:
                work.emit(exception_assigned(row, asked.assigned_to, given, work.now))
        await exceptions.note(work, exception_id, work.cause.actor or "", "assigned", asked.assigned_to)
        return answer(await detail_of(work.connection, exception_id, work.clock.today()), 200)


async def lock_exception(exception_id: str, work: Work) -> Any:
    row = await exceptions.lock_exception(work, exception_id) if is_id(exception_id) else None
    if row is None:
        raise not_found("exception", exception_id)
    return row


def resolved_already() -> Problem:
    detail = "This exception has been resolved already; look at its trail."
    return problem_of(Refusal("already-resolved", detail, conflict=True))
