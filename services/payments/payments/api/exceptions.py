"""What does not agree and waits for a person, over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import read_instant_cursor, write_cursor
from chassis.http.problems import not_found
from chassis.messaging.work import Work
from chassis.service import cause_of, running_of
from contracts.allocation import Part
from contracts.ids import is_id
from contracts.invoicing import Text
from contracts.money import Money
from payments import messages, store
from payments.api.bank_statements import for_the_company
from payments.api.edge import Asked, InvoiceToPay, ReadPayments, WritePayments, answer, problem_of
from payments.domain import Refusal, receive
from payments.domain.remittance import ExceptionClass
from payments.store import bank

router = APIRouter(route_class=StrictRoute)


class ProposedPart(BaseModel):
    invoice_id: str
    amount_minor: int


class ProposalView(BaseModel):
    """What the money may pay. `score` lies between 0 and 1; the likeliest stands first.

    With `payment_id`: it may be that recorded receipt, and pays nothing again.
    """

    customer_id: str
    invoices: list[ProposedPart]
    score: float
    reasons: list[str]
    payment_id: str | None = None


class LineView(BaseModel):
    """The bank's line that it is about."""

    run_id: str
    place: str
    account: str
    booked_on: date | None
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
    """Minor units of `currency`; below zero: money that a bank took back.

    missing_here    money that came, or came back, and is of nothing known, or is booked on a day that has not come
    missing_there   a payment that the provider's record does not have in its time
    wrong_amount    more, or other, than was asked for
    short_payment   less than the invoices that it names
    doubled         names invoices that are paid or under way already, or may be counted or recorded already
    wrong_currency  names invoices of another currency
    """

    id: str
    klass: ClassName
    state: Literal["open", "resolved"]
    payment_id: str | None
    payout_line_id: Annotated[str | None, Field(description="the provider's id of a line of a payout")]
    line: LineView | None
    currency: str
    amount_minor: int
    proposals: list[ProposalView]
    assigned_to: str | None
    created_at: datetime
    resolved_at: datetime | None


class ExceptionDetail(ExceptionView):
    trail: list[NoteView]


class Exceptions(BaseModel):
    items: list[ExceptionView]
    next_cursor: str | None


class Resolution(Asked):
    """`post`: the line's money is the customer's, for these invoices (none: oldest first), or as the proposal with this
    place, from 0. `dismiss`: it is settled otherwise, and `reason` says how.
    """

    action: Literal["post", "dismiss"]
    proposal: Annotated[int | None, Field(ge=0, le=20, strict=True)] = None
    customer_id: Annotated[str | None, Field(max_length=36)] = None
    invoices: list[InvoiceToPay] = Field([], max_length=1000)
    reason: Text


class Assignment(Asked):
    """Who is to look at it; null: nobody any more."""

    assigned_to: Text | None


def view_of_exception(row: Any) -> dict[str, Any]:
    line = {
        "run_id": row["statement_id"],
        "place": row["place"],
        "account": row["account"],
        "booked_on": row["booked_on"],
        "references": row["refs"],
        "text": row["text"],
        "payer": row["payer"],
    }
    return {
        "id": row["id"],
        "class": row["class"],
        "state": row["state"],
        "payment_id": row["payment_id"],
        "payout_line_id": row["payout_line_id"],
        "line": line if row["line_id"] is not None else None,
        "currency": row["currency"],
        "amount_minor": row["amount"],
        "proposals": orjson.loads(row["proposals"]),
        "assigned_to": row["assigned_to"],
        "created_at": row["created_at"],
        "resolved_at": row["resolved_at"],
    }


@router.get("/v1/reconciliation/exceptions", response_model=Exceptions, tags=["reconciliation"])
async def list_exceptions(
    request: Request,
    identity: ReadPayments,
    state: Literal["open", "resolved"] | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """What does not agree, oldest first."""
    for_the_company(identity)
    found = await bank.list_exceptions(running_of(request).pool, state, read_instant_cursor(cursor), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    after = write_cursor(last["created_at"].isoformat(), last["id"]) if last else None
    return answer(orjson.dumps({"items": [view_of_exception(row) for row in found[:limit]], "next_cursor": after}), 200)


@router.get("/v1/reconciliation/exceptions/{exception_id}", response_model=ExceptionDetail, tags=["reconciliation"])
async def get_exception(exception_id: str, request: Request, identity: ReadPayments) -> Response:
    """An exception with its trail: who did what about it, and when."""
    for_the_company(identity)
    return answer(await _detail(running_of(request).pool, exception_id), 200)


async def _detail(connection: Any, exception_id: str) -> bytes:
    row = await bank.load_exception(connection, exception_id) if is_id(exception_id) else None
    if row is None:
        raise not_found("exception", exception_id)
    return orjson.dumps({**view_of_exception(row), "trail": await bank.list_notes(connection, exception_id)})


@router.post(
    "/v1/reconciliation/exceptions/{exception_id}/resolve", response_model=ExceptionDetail, tags=["reconciliation"]
)
async def resolve(exception_id: str, asked: Resolution, request: Request, identity: WritePayments) -> Response:
    """Decide an exception. What is decided already is refused: each is decided once."""
    for_the_company(identity)
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        row = await _lock(exception_id, work)
        payment_id = await _post(row, asked, work) if asked.action == "post" else None
        await bank.resolve_exception(work, exception_id, payment_id)
        if row["line_id"] is not None:
            await bank.keep_states(work, {row["line_id"]: "resolved"})
        await bank.note(work, exception_id, work.cause.actor or "", asked.action, asked.reason)
        return answer(await _detail(work.connection, exception_id), 200)


@router.post(
    "/v1/reconciliation/exceptions/{exception_id}/assign", response_model=ExceptionDetail, tags=["reconciliation"]
)
async def assign(exception_id: str, asked: Assignment, request: Request, identity: WritePayments) -> Response:
    """Say who is to look at an exception."""
    for_the_company(identity)
    async with running_of(request).units.begin(cause_of(request, identity)) as work:
        await _lock(exception_id, work)
        await bank.assign_exception(work, exception_id, asked.assigned_to)
        await bank.note(work, exception_id, work.cause.actor or "", "assigned", asked.assigned_to)
        return answer(await _detail(work.connection, exception_id), 200)


async def _lock(exception_id: str, work: Work) -> Any:
    row = await bank.lock_exception(work, exception_id) if is_id(exception_id) else None
    if row is None:
        raise not_found("exception", exception_id)
    if row["state"] != "open":
        detail = "This exception has been resolved already; look at its trail."
        raise problem_of(Refusal("already-resolved", detail, conflict=True))
    return row


async def _post(row: Any, asked: Resolution, work: Work) -> str:
    """The line's money becomes a payment of the customer."""
    if row["line_id"] is None or row["amount"] <= 0:
        detail = "Only money that a bank line brought can be posted. Dismiss this one, saying how it was settled."
        raise problem_of(Refusal("nothing-to-post", detail, "action"))
    if row["booked_on"] > work.clock.today():
        detail = f"The bank books this on {row['booked_on']}; today is {work.clock.today()}. Post it then."
        raise problem_of(Refusal("booked-in-future", detail, "action", conflict=True))
    customer_id, parts = _chosen(row, asked)
    money = Money(row["amount"], row["currency"])
    reference = " ".join((*row["refs"], row["text"])).strip()[:200] or None
    step = receive(customer_id, money, row["booked_on"], reference, parts, work.now)
    work.emit(*messages.of([step], work.now))
    if not await store.add_payments(work, [store.NewPayment(step, line_id=row["line_id"])]):
        detail = f"Customer {customer_id} is not known, or has no such invoice in {money.currency}."
        raise problem_of(Refusal("unknown-names", detail, "invoices"))
    return step.payment.id


def _chosen(row: Any, asked: Resolution) -> tuple[str, list[Part]]:
    currency, amount = row["currency"], row["amount"]
    if asked.proposal is not None:
        proposals = orjson.loads(row["proposals"])
        if asked.proposal >= len(proposals):
            detail = f"This exception has {len(proposals)} proposals, counted from 0."
            raise problem_of(Refusal("unknown-proposal", detail, "proposal"))
        chosen = proposals[asked.proposal]
        if chosen.get("payment_id"):
            detail = f"This proposal is payment {chosen['payment_id']}, recorded already; posted, it counts twice."
            raise problem_of(Refusal("recorded-already", detail, "proposal"))
        return chosen["customer_id"], [
            Part(one["invoice_id"], Money(one["amount_minor"], currency)) for one in chosen["invoices"]
        ]
    if asked.customer_id is None or not is_id(asked.customer_id):
        detail = "Say whose money it is: customer_id, or the place of a proposal."
        raise problem_of(Refusal("customer-missing", detail, "customer_id"))
    if not all(is_id(one.invoice_id) for one in asked.invoices):
        raise problem_of(Refusal("unknown-invoice", "An invoice's id is no id.", "invoices"))
    if sum(one.amount_minor or 0 for one in asked.invoices) > amount:
        raise problem_of(Refusal("more-than-received", f"The invoices' amounts sum to more than {amount}.", "invoices"))
    return asked.customer_id, [
        Part(one.invoice_id, Money(one.amount_minor or amount, currency)) for one in asked.invoices
    ]
