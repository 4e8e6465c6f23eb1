"""Giving money back, over HTTP."""

from __future__ import annotations

from typing import Annotated

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from chassis.http import idempotency
from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import Key, fingerprint, still_running
from chassis.http.problems import Problem, not_found
from chassis.messaging.work import Work
from chassis.service import cause_of, running_of
from contracts.ids import is_id
from contracts.invoicing import PositiveMinor, Text
from payments import messages, store
from payments.api.edge import Asked, IdempotencyKey, WritePayments, answer, problem_of
from payments.api.views import ReversalView, seen_header, view_of_reversal
from payments.domain import Payment, Refusal, Reversal, refund
from payments.providers import Provider

router = APIRouter(route_class=StrictRoute)


class RefundRequest(Asked):
    """`amount_minor` is of the payment's amount; its surcharge goes back in proportion. Left out: all that is left."""

    amount_minor: PositiveMinor | None = None
    reason: Annotated[Text, Field(description="why, for the company's own records")]


@router.post("/v1/payments/{payment_id}/refunds", status_code=202, response_model=ReversalView, tags=["payments"])
async def refund_payment(
    payment_id: str, asked: RefundRequest, request: Request, identity: WritePayments, key_text: IdempotencyKey
) -> Response:
    """Give a reconciled payment back, all or a part; what was received offline, by the company's own means.

    Its invoices are owed again, the newest first, once the provider's record says that the money went.
    """
    if identity.customer_id is not None:
        detail = "This key is for one customer; refunds are given by the company."
        raise Problem(status=403, slug="forbidden", detail=detail)
    if not is_id(payment_id):
        raise not_found("payment", payment_id)
    print_of = fingerprint({"payment_id": payment_id, **asked.model_dump(mode="json")})
    running = running_of(request)
    try:
        async with running.units.begin(cause_of(request, identity)) as work:
            return await _refund(payment_id, asked, key_text, print_of, work, running.more["provider"])
    except asyncpg.UniqueViolationError:  # of the key, by another payment's refund in this very moment
        raise still_running() from None


async def _refund(
    payment_id: str, asked: RefundRequest, key_text: str, print_of: bytes, work: Work, provider: Provider
) -> Response:
    """Under the payment's lock, which refunds of one payment wait for in turn."""
    payment = await store.lock_payment(work, payment_id)
    if payment is None:
        raise not_found("payment", payment_id)
    key = Key(payment.customer_id, "POST /v1/payments/{id}/refunds", key_text, print_of)
    stored = await idempotency.find(work.connection, key)
    if stored is not None:
        return idempotency.replay(stored, key)
    reversals = await store.load_reversals(work.connection, [payment_id])
    step = refund(payment, reversals, asked.amount_minor, asked.reason, now=work.now, today=work.clock.today())
    if isinstance(step, Refusal):
        raise problem_of(step)
    assert step.reversal is not None
    against = _not_in_steps(step.payment, step.reversal, provider)
    if against is not None:
        raise problem_of(against, step_minor=provider.charges_in(step.payment.amount.currency))
    body, seen = orjson.dumps(view_of_reversal(step.reversal)), seen_header(step.payment)
    work.emit(*messages.of([step], work.now))
    await store.save_steps(work, [step])
    await idempotency.keep(work, key, 202, body, seen)
    work.wake("call-refunds")
    return answer(body, 202, seen)


def _not_in_steps(payment: Payment, reversal: Reversal, provider: Provider) -> Refusal | None:
    """Why the provider can't give this sum back; None when it can, or is not asked to."""
    total, step = reversal.total, provider.charges_in(payment.amount.currency)
    if payment.way != "collect" or not total.minor % step:
        return None
    what = "with its part of the surcharge " if reversal.surcharge else ""
    detail = (
        f"The provider gives {total.currency} back in steps of {step} minor units, and {what}this would be "
        f"{total.minor}. Choose another amount, or leave it out to give all back that is left."
    )
    return Refusal("amount-not-refundable", detail, "amount_minor")
