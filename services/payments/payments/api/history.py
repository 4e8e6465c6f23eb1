"""The history of payments over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import StrictRoute
from chassis.http.cursors import read_instant_cursor, write_cursor
from chassis.http.problems import not_found
from chassis.service import running_of
from contracts.ids import is_id
from contracts.invoicing import Day
from contracts.payments import PaymentStatus
from payments import store
from payments.api.edge import ReadPayments, answer, problem_of
from payments.api.views import PaymentView, view_of_payment
from payments.domain import Refusal

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
    method: Annotated[str | None, Query(max_length=36, description="a payment method's id, or `offline`")] = None,
    since: Annotated[Day | None, Query(alias="from")] = None,
    until: Annotated[Day | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    """Payments, newest first, that were made or recorded on the days `from` and `to` and those between.

    `received_on` may lie before the day on which a payment was recorded. A `next_cursor` of null: the last page.
    """
    running, offline = running_of(request), method == "offline"
    if identity.customer_id is not None and customer_id not in (None, identity.customer_id):
        raise not_found("customer", customer_id or "")
    whose = identity.customer_id or customer_id
    for field, value in (("customer_id", whose), ("method", None if offline else method)):
        if value is not None and not is_id(value):
            raise problem_of(Refusal("invalid-id", f"{field} is not an id.", field))
    if since is not None and until is not None and until < since:
        detail = f"to ({until}) lies before from ({since}), so that no day is left."
        raise problem_of(Refusal("days-out-of-order", detail, "to"))
    asked = store.History(
        whose,
        status,
        None if offline else method,
        "receive" if offline else None,
        running.clock.start_of(since) if since else None,
        running.clock.start_of(until + timedelta(days=1)) if until else None,
        read_instant_cursor(cursor),
    )
    found = await store.list_payments(running.pool, asked, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    after = write_cursor(last.created_at.isoformat(), last.id) if last else None
    shown = found[:limit]
    back = await store.load_reversals(running.pool, [one.id for one in shown if one.reconciliation == "matched"])
    return answer(orjson.dumps({"items": [view_of_payment(one, back) for one in shown], "next_cursor": after}), 200)
