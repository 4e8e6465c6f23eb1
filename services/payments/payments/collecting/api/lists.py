"""The history of payments over HTTP."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import invalid_cursor, read_cursor, read_instant_cursor, write_cursor
from chassis.http.identity import whose
from chassis.http.problems import problem_of
from chassis.running import running_of
from contracts.ids import is_id
from contracts.invoicing import Currency, Day
from contracts.payments import PaymentStatus, Reconciliation
from contracts.refusals import Refusal
from payments.collecting.api.views import PaymentView, shown
from payments.collecting.domain.payment_numbers import digits_of
from payments.collecting.store import lists
from payments.collecting.store.lists import PaymentFilter, Sort, customer_of
from payments.edge import ReadPayments, answer

router = APIRouter(route_class=StrictRoute)


class Payments(BaseModel):
    items: list[PaymentView]
    next_cursor: str | None


@router.get("/v1/payments", response_model=Payments, tags=["payments"])
async def list_payments(
    request: Request,
    identity: ReadPayments,
    customer_id: Annotated[str | None, Query(max_length=36)] = None,
    status: PaymentStatus | None = None,
    reconciliation: Reconciliation | None = None,
    method: Annotated[str | None, Query(max_length=36, description="a payment method's id, or `offline`")] = None,
    method_kind: Annotated[
        Literal["card", "bank_account"] | None, Query(description="of the method that the payment is charged to")
    ] = None,
    way: Literal["collect", "receive"] | None = None,
    currency: Currency | None = None,
    invoice_id: Annotated[
        str | None, Query(max_length=36, description="payments that were for this invoice, or paid it")
    ] = None,
    number: Annotated[str | None, Query(max_length=40, description="the short number, as P-7K3M9-2QXTB")] = None,
    q: Annotated[
        str | None,
        Query(
            max_length=100,
            description="of one customer: the short number, or a part of the reference in any case. Of all customers: "
            "the short number",
        ),
    ] = None,
    since: Annotated[Day | None, Query(alias="from")] = None,
    until: Annotated[Day | None, Query(alias="to")] = None,
    received_from: Annotated[Day | None, Query(description="received on or after this day")] = None,
    received_to: Annotated[Day | None, Query(description="received on or before this day")] = None,
    sort: Annotated[Sort, Query(description="`amount` only with one customer and one currency")] = "-created_at",
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """List payments, newest first, that were made or recorded from the day `from` to the day `to`, both included.

    `received_on` may be before the day on which a payment was recorded. `next_cursor` is null on the last page.
    """
    running, offline = running_of(request), method == "offline"
    reads = running.reads(identity)
    ids = {"customer_id": customer_id, "method": None if offline else method, "invoice_id": invoice_id}
    for field, value in ids.items():
        if value is not None and not is_id(value):
            raise problem_of(Refusal("invalid-id", f"{field} is not an id.", field))
    mine = whose(customer_id, identity)
    _in_order(since, until, "from", "to")
    _in_order(received_from, received_to, "received_from", "received_to")
    if invoice_id is not None and mine is None:
        mine = await customer_of(reads, invoice_id)
    by_amount = sort.endswith("amount")
    if by_amount and (mine is None or currency is None):
        detail = "Sorted by amount are the payments of one customer in one currency: send customer_id and currency."
        raise problem_of(Refusal("sort-needs-more", detail, "sort"))
    digits = digits_of(number) if number is not None else None
    nothing = (number is not None and digits is None) or (offline and way == "collect")
    nothing = nothing or (invoice_id is not None and mine is None)
    nothing = nothing or (q is not None and ("\x00" in q or (mine is None and digits_of(q) is None)))
    if nothing:
        return answer(orjson.dumps({"items": [], "next_cursor": None}), 200)
    asked = PaymentFilter(
        mine,
        status,
        None if offline else method,
        "receive" if offline else way,
        running.clock.start_of(since) if since else None,
        running.clock.start_of(until + timedelta(days=1)) if until else None,
        _amount_cursor(cursor) if by_amount else read_instant_cursor(cursor),
        reconciliation,
        currency,
        method_kind,
        invoice_id,
        digits,
        received_from,
        received_to,
        sort,
        q,
        digits_of(q) if q else None,
    )
    found = await lists.list_payments(reads, asked, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    after = None
    if last is not None:
        after = write_cursor(str(last.total.minor) if by_amount else last.created_at.isoformat(), last.id)
    return answer(orjson.dumps({"items": await shown(reads, found[:limit]), "next_cursor": after}), 200)


def _in_order(first: date | None, last: date | None, first_name: str, last_name: str) -> None:
    if first is not None and last is not None and last < first:
        detail = f"{last_name} ({last}) lies before {first_name} ({first}), so that no day is left."
        raise problem_of(Refusal("days-out-of-order", detail, last_name))


def _amount_cursor(cursor: str | None) -> tuple[int, str] | None:
    """The amount and id of the last row of a page, or a 422 problem."""
    if not cursor:
        return None
    amount, last = read_cursor(cursor, 2)
    if not re.fullmatch("[0-9]{1,18}", amount) or not is_id(last):
        raise invalid_cursor()
    return int(amount), last
