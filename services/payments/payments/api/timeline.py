"""Why a payment is as it is, over HTTP."""

from __future__ import annotations

from datetime import date, datetime

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import StrictRoute
from chassis.http.problems import not_found
from chassis.service import running_of
from contracts.ids import is_id
from contracts.payments import PaymentStatus, Reconciliation
from payments import store
from payments.api.edge import ReadPayments, answer
from payments.data_files import CODES
from payments.domain.timeline import next_step, told

router = APIRouter(route_class=StrictRoute)


class Happened(BaseModel):
    at: datetime
    event: str
    status: PaymentStatus
    text: str


class PaymentTimeline(BaseModel):
    """`items`: what happened, oldest first. `next_step`: what it waits for, `expected_by` then; or what to do after it.

    After a payment that came to nothing, or all of which went back, it says how to pay. Null: nothing is to be done.
    """

    payment_id: str
    status: PaymentStatus
    reconciliation: Reconciliation | None
    expected_by: date | None
    next_step: str | None
    items: list[Happened]


@router.get("/v1/payments/{payment_id}/timeline", response_model=PaymentTimeline, tags=["payments"])
async def payment_timeline(payment_id: str, request: Request, identity: ReadPayments) -> Response:
    """What happened to a payment, from its events, and what comes next."""
    running = running_of(request)
    date_of = running.clock.date_of
    payment = await store.load_payment(running.pool, payment_id, identity.customer_id) if is_id(payment_id) else None
    if payment is None:
        raise not_found("payment", payment_id)
    reversals = await store.load_reversals(running.pool, [payment.id]) if payment.reconciliation == "matched" else ()
    items = [
        {
            "at": at,
            "event": event,
            "status": body["status"],
            "text": told(CODES, event, body, date_of(at), reversals, payment.credit_short),
        }
        for row in await store.load_history(running.pool, payment_id)
        for at, event, body in ((row["at"], row["type"], row["payload"]),)
    ]
    shown = {
        "payment_id": payment.id,
        "status": payment.status,
        "reconciliation": payment.reconciliation,
        "expected_by": payment.waits_until,
        "next_step": next_step(CODES, payment, running.clock.today(), reversals),
        "items": items,
    }
    return answer(orjson.dumps(shown), 200)
