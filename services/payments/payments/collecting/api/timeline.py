"""The timeline of a payment over HTTP: why it has its status."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from chassis.http.bodies import StrictRoute
from chassis.http.problems import not_found
from chassis.running import running_of
from contracts.envelope import Amount
from contracts.ids import is_id
from contracts.money import Money
from contracts.payments import PaymentStatus, Reconciliation
from payments.collecting.domain.timeline import Said, next_step, told
from payments.collecting.store.payments import load_payment
from payments.collecting.store.reversals import load_reversals
from payments.collecting.store.timeline import load_history
from payments.edge import ReadPayments, answer
from payments.providers.data_files import CODES

router = APIRouter(route_class=StrictRoute)


VALUES = "what stands in the sentence, by name: amounts, days, and the `reason` as a code"


class Happened(BaseModel):
    at: datetime
    event: str
    status: PaymentStatus
    text: str
    code: Annotated[str, Field(description="the stable code of `text`")]
    values: Annotated[dict[str, str | Amount], Field(description=VALUES)]


class PaymentTimeline(BaseModel):
    """`items`: what happened, oldest first. `next_step`: what it waits for, until `expected_by`; or what to do.

    If the payment took no money, or all of it went back, `next_step` says how to pay. Null: there is nothing to do.
    """

    payment_id: str
    status: PaymentStatus
    reconciliation: Reconciliation | None
    expected_by: date | None
    next_step: str | None
    next_step_code: Annotated[str | None, Field(description="the stable code of `next_step`; null if that is null")]
    next_step_values: Annotated[dict[str, str | Amount], Field(description=VALUES)]
    items: list[Happened]


@router.get("/v1/payments/{payment_id}/timeline", response_model=PaymentTimeline, tags=["payments"])
async def payment_timeline(payment_id: str, request: Request, identity: ReadPayments) -> Response:
    """Show what happened to a payment, event by event, and what comes next."""
    running = running_of(request)
    date_of, reads = running.clock.date_of, running.reads(identity)
    payment = await load_payment(reads, payment_id, identity.customer_id) if is_id(payment_id) else None
    if payment is None:
        raise not_found("payment", payment_id)
    reversals = await load_reversals(reads, [payment.id]) if payment.reconciliation == "matched" else ()
    items = [
        {
            "at": at,
            "event": event,
            "status": body["status"],
            "text": said.text,
            "code": said.code,
            "values": _values(said),
        }
        for row in await load_history(reads, payment_id)
        for at, event, body in ((row["at"], row["type"], row["payload"]),)
        for said in (told(CODES, event, body, date_of(at), reversals, payment.credit_short),)
    ]
    following = next_step(CODES, payment, running.clock.today(), reversals)
    shown = {
        "payment_id": payment.id,
        "status": payment.status,
        "reconciliation": payment.reconciliation,
        "expected_by": payment.waits_until,
        "next_step": following.text if following else None,
        "next_step_code": following.code if following else None,
        "next_step_values": _values(following) if following else {},
        "items": items,
    }
    return answer(orjson.dumps(shown), 200)


def _values(said: Said) -> dict[str, Any]:
    """Amounts as minor units with their currency, days as they are written."""
    return {
        name: Amount.of(value).model_dump() if isinstance(value, Money) else value
        for name, value in said.values.items()
    }
