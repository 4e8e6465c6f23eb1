"""Refunds and voids over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field

from chassis.http import idempotency
from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import Key, fingerprint, still_running
from chassis.http.identity import Identity
from chassis.http.problems import not_found, problem_of
from chassis.messaging.work import Work
from chassis.running import cause_of, running_of
from chassis.tasks import queue as tasks
from contracts.ids import is_id
from contracts.invoicing import PositiveMinor, Text
from contracts.refusals import Refusal
from payments.collecting.announcing import Voided, receipt_voided
from payments.collecting.api.views import ReversalView, seen_header, view_of_reversal
from payments.collecting.domain.payments import Payment, Reversal, Step
from payments.collecting.domain.reversals import refund, void
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import lock_payment, save_steps
from payments.collecting.store.reversals import load_reversals
from payments.edge import Asked, IdempotencyKey, WriteBooks, answer
from payments.providers import Provider

router = APIRouter(route_class=StrictRoute)


class RefundRequest(Asked):
    """`amount_minor`: a part of the payment's amount; without it, all that is left. Its surcharge goes back, too."""

    amount_minor: PositiveMinor | None = None
    reason: Annotated[Text, Field(description="why, for the company's own records")]


class VoidRequest(Asked):
    reason: Annotated[Text, Field(description="why, for the company's own records")]


class VoidView(ReversalView):
    """`exception_id`: the exception in which the receipt's bank line waits for a person; null: it had no bank line."""

    exception_id: str | None


Decided = tuple[Step, dict[str, Any]]
Decide = Callable[[Payment, Work], Awaitable[Decided]]


@router.post("/v1/payments/{payment_id}/refunds", status_code=202, response_model=ReversalView, tags=["payments"])
async def refund_payment(
    payment_id: str, asked: RefundRequest, request: Request, identity: WriteBooks, key_text: IdempotencyKey
) -> Response:
    """Refund all or a part of a reconciled payment.

    The invoices that it paid last are owed again when the provider's record shows the refund. A refund of offline money
    counts at once; the company pays it out itself.
    """
    decide = partial(_refund, asked, running_of(request).own.provider)
    return await _once(payment_id, "refunds", asked, decide, request, identity, key_text)


async def _refund(asked: RefundRequest, provider: Provider, payment: Payment, work: Work) -> Decided:
    reversals = await load_reversals(work.connection, [payment.id])
    step, made = _made(
        refund(payment, reversals, asked.amount_minor, asked.reason, now=work.now, today=work.clock.today())
    )
    if against := _not_in_steps(payment, made, provider):
        raise problem_of(against, step_minor=provider.charges_in(made.amount.currency))
    await _save(step, work)
    if made.state == "requested":
        await tasks.enqueue(work, "call-refunds", made.id)
    return step, view_of_reversal(made)


@router.post("/v1/payments/{payment_id}/void", status_code=202, response_model=VoidView, tags=["payments"])
async def void_receipt(
    payment_id: str, asked: VoidRequest, request: Request, identity: WriteBooks, key_text: IdempotencyKey
) -> Response:
    """Void a receipt that was recorded, or posted from a bank's file, in error.

    It then counts on no day, and its invoices are owed again. If it has a bank line, an exception is opened for that
    line, so that a person can post it to the right customer. For money that came and went back, use a refund.
    """
    return await _once(payment_id, "void", asked, partial(_void, asked), request, identity, key_text)


async def _void(asked: VoidRequest, payment: Payment, work: Work) -> Decided:
    reversals = await load_reversals(work.connection, [payment.id])
    step, made = _made(void(payment, reversals, asked.reason, work.now))
    await _save(step, work)
    exception_id = await receipt_voided(Voided(payment, asked.reason), work)
    return step, {**view_of_reversal(made), "exception_id": exception_id}


async def _save(step: Step, work: Work) -> None:
    work.emit(*payment_events([step], work.now))
    await save_steps(work, [step])


def _made(step: Step | Refusal) -> tuple[Step, Reversal]:
    if isinstance(step, Refusal):
        raise problem_of(step)
    assert step.reversal is not None
    return step, step.reversal


async def _once(
    payment_id: str, what: str, asked: Asked, decide: Decide, request: Request, identity: Identity, key_text: str
) -> Response:
    """Run it under the payment's lock, so that only one request at a time takes from a payment; once under a key."""
    if not is_id(payment_id):
        raise not_found("payment", payment_id)
    print_of = fingerprint({"payment_id": payment_id, **asked.model_dump(mode="json")})
    try:
        async with running_of(request).units.begin(cause_of(request, identity)) as work:
            payment = await lock_payment(work, payment_id)
            if payment is None:
                raise not_found("payment", payment_id)
            key = Key(payment.customer_id, f"POST /v1/payments/{{id}}/{what}", key_text, print_of)
            stored = await idempotency.find(work.connection, key)
            if stored is not None:
                return idempotency.replay(stored, key)
            step, view = await decide(payment, work)
            body, seen = orjson.dumps(view), seen_header(step.payment)
            await idempotency.keep(work, key, 202, body, seen)
            return answer(body, 202, seen)
    except asyncpg.UniqueViolationError:  # of the key, by another payment's in this very moment
        raise still_running() from None


def _not_in_steps(payment: Payment, reversal: Reversal, provider: Provider) -> Refusal | None:
    """Return why the provider can't refund this sum; None if it can, or if the provider is not needed."""
    total, step = reversal.total, provider.charges_in(payment.amount.currency)
    if payment.way != "collect" or not total.minor % step:
        return None
    what = "with its part of the surcharge " if reversal.surcharge else ""
    detail = (
        f"The provider gives {total.currency} back in steps of {step} minor units, and {what}this would be "
        f"{total.minor}. Choose another amount, or leave it out to give all back that is left."
    )
    return Refusal("amount-not-refundable", detail, "amount_minor")
