"""Payments over HTTP: confirm a quote, read the payment, cancel it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictBool

from chassis.db.reads import Reads
from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import Key, find, replay, still_running
from chassis.http.identity import Identity
from chassis.http.problems import not_found, problem_of
from chassis.messaging.work import Cause, Work
from chassis.running import Running, cause_of, running_of
from contracts.ids import is_id
from contracts.metadata import Metadata
from contracts.refusals import Refusal
from payments.collecting.api.quotes import load_oldest, make, way_out, wrong_currency
from payments.collecting.api.shares import said
from payments.collecting.api.views import NOTHING, PaymentView, seen_header, shown, view_of_payment, view_of_quote
from payments.collecting.api.waiting import Wait, outcomes_of
from payments.collecting.domain.payments import Step, expected_by, give_up, submit
from payments.collecting.domain.quotes import Quote, Wishes, choose_again, still_fits, to_surcharge, why_nothing
from payments.collecting.messages import payment_events
from payments.collecting.store.beside import Beside
from payments.collecting.store.payments import (
    Answer,
    NewPayment,
    add_payments,
    keep_given_up,
    load_payment,
    lock_payment,
)
from payments.collecting.store.quotes import Confirming, load_confirming
from payments.edge import Asked, IdempotencyKey, Pay, ReadPayments, WebAddress, answer, own_key
from payments.methods.api import witness_of
from payments.methods.data_files import CONSENT_TEXTS
from payments.methods.domain.consents import Consent
from payments.methods.domain.methods import unusable
from payments.own import Own
from payments.projections.store import available_credit

router = APIRouter(route_class=StrictRoute)


class PaymentRequest(Asked):
    """`accept_surcharge` is needed when the quote has a surcharge. False cancels the payment and uses the quote up.

    `return_url`: the payer is present, so the card's bank may ask for a confirmation, at the payment's
    `next_action_url`, and then leads the payer back here. Without it, a card whose bank would ask is declined.
    """

    quote_id: Annotated[str, Field(max_length=36)]
    accept_surcharge: StrictBool | None = None
    return_url: WebAddress | None = None
    metadata: Metadata = {}  # noqa: RUF012 - pydantic copies it


@dataclass(frozen=True, slots=True)
class Saving:
    """A payment to be saved, and the request for it."""

    new: NewPayment
    cause: Cause


async def save_payments(savings: Sequence[Saving], work: Work) -> Sequence[bool]:
    """Save payments of requests that arrived at the same time; False for those that `add_payments` leaves out."""
    for saving in savings:
        work.cause = saving.cause
        work.emit(*payment_events([saving.new.step], work.now))
    saved = await add_payments(work, [saving.new for saving in savings])
    return [saving.new.step.payment.id in saved for saving in savings]


async def save_once(
    running: Running[Own], step: Step, key: Key, cause: Cause, beside: Beside = NOTHING, consent: Consent | None = None
) -> Response | None:
    """Save a new payment under its key, or return the key's earlier answer; None if it can't be saved.

    `beside`: what the answer shows beside the payment.
    """
    body, seen = orjson.dumps(view_of_payment(step.payment, beside)), seen_header(step.payment)
    step = step.under(cause.correlation)
    saving = Saving(NewPayment(step, key, Answer(202, body, seen), consent=consent), cause)
    try:
        if await running.units.together(save_payments, saving, single=True):
            return answer(body, 202, seen)
    except asyncpg.LockNotAvailableError:
        raise still_running() from None
    except asyncpg.UniqueViolationError:
        pass  # the key got its answer in this very moment, or the method for one payment made another
    stored = await find(running.pool, key)
    return replay(stored, key) if stored is not None else None


FINISHED: dict[int | str, dict[str, Any]] = {
    200: {"model": PaymentView, "description": "With `Prefer: wait`: the payment has ended within that time"}
}


@router.post("/v1/payments", status_code=202, response_model=PaymentView, responses=FINISHED, tags=["payments"])
async def pay(asked: PaymentRequest, request: Request, identity: Pay, key_text: IdempotencyKey, wait: Wait) -> Response:
    """Confirm a quote. A quote that no longer fits answers 409 with a new one to confirm.

    With `Prefer: wait=10`, the answer comes when the payment is final (200) or the payer has to confirm it (202), or
    after ten seconds (202); at most thirty. `Preference-Applied` shows that it waited. The same request under the same
    key waits again.
    """
    ask = asked, request, identity, key_text
    confirmed = await _confirm(*ask) or await _confirm(*ask)  # again, when another request was quicker
    if confirmed is None:
        raise still_running()
    running = running_of(request)
    return await _once_final(running, running.reads(identity), confirmed, wait) if wait else confirmed


async def _once_final(running: Running[Own], reads: Reads, confirmed: Response, wait: int) -> Response:
    """Return the payment when it is final, or after so many seconds; at once if too many requests wait already."""
    outcomes, payment_id = outcomes_of(running), orjson.loads(confirmed.body)["id"]
    if outcomes.full:
        return confirmed
    await outcomes.known(running, payment_id, wait)
    payment = await load_payment(reads, payment_id, None)
    assert payment is not None, "payments are never deleted"
    (view,), status = await shown(reads, [payment]), 200 if payment.final else 202
    answered = answer(orjson.dumps(view), status, seen_header(payment))
    answered.headers["Preference-Applied"] = f"wait={wait}"
    if "Idempotent-Replayed" in confirmed.headers:
        answered.headers["Idempotent-Replayed"] = "true"
    return answered


async def _confirm(asked: PaymentRequest, request: Request, identity: Identity, key_text: str) -> Response | None:
    """Confirm a quote. None if another request used the quote, or its method for one payment, a moment before."""
    running, route = running_of(request), "POST /v1/payments"
    reads, key_text = running.reads(identity), own_key(identity, key_text)
    found = None
    if is_id(asked.quote_id):
        found = await load_confirming(reads, asked.quote_id, identity.customer_id, route, key_text)
    if found is None:
        raise problem_of(Refusal("unknown-quote", f"There is no quote {asked.quote_id}.", "quote_id"))
    key = Key(found.quote.customer_id, route, key_text, said(asked))
    if found.stored is not None:
        return replay(found.stored, key)
    cause, clock = cause_of(request, identity), running.clock
    await refuse_stale(running, reads, found)
    kind = found.method.kind if found.method else None
    step = submit(
        found.quote, kind, asked.accept_surcharge, now=clock.now(), return_url=asked.return_url,
        metadata=asked.metadata or None, expected_by=expected_by(kind, clock.today()),
    )  # fmt: skip
    if isinstance(step, Refusal):
        raise problem_of(step)
    consent = to_surcharge(
        found.quote, step.payment.id, asked.accept_surcharge is True, CONSENT_TEXTS["surcharge"].version,
        witness_of(request, identity), clock.now(),
    )  # fmt: skip
    return await save_once(running, step, key, cause, _beside(found), consent)


def _beside(found: Confirming) -> Beside:
    """What stands beside a payment of a quote."""
    numbers, method = {one.id: one.number for one in found.invoices.values()}, found.method
    short = {"kind": method.kind, "brand": method.brand, "last4": method.last4} if method else None
    return Beside(numbers=numbers, methods={method.id: short} if method and short else {})


async def refuse_stale(running: Running[Own], reads: Reads, found: Confirming) -> None:
    """Raise a problem if the quote can't be confirmed any more, with a new quote if anything can still be paid."""
    quote, invoices = found.quote, found.invoices
    if quote.payment_id is not None:
        detail = f"This quote was confirmed already, by payment {quote.payment_id}. Make a new quote to pay again."
        raise problem_of(Refusal("quote-used", detail, "quote_id", conflict=True), payment_id=quote.payment_id)
    against = unusable(found.method, running.clock.today()) if found.method else None
    if against is not None:
        raise problem_of(against)
    against_currency = await wrong_currency(running, reads, found.method, quote) if found.method else None
    if against_currency is not None:
        raise against_currency
    what = await _stale(running, reads, found)
    if what is None:
        return
    choice = choose_again(quote, invoices)
    if choice is not None and not isinstance(choice, Wishes):
        _, invoices = await load_oldest(reads, quote.method_id, quote.customer_id, quote.amount.currency)
    new = None
    if choice is not None:
        used = quote.credit_used > 0
        new = await make(running, reads, quote.customer_id, found.method, choice, invoices, use_credit=used)
    view = view_of_quote(new, invoices) if isinstance(new, Quote) else None
    if view:
        hint = "Confirm new_quote instead."
    elif isinstance(new, Refusal) and new.code != "nothing-payable":
        hint = new.detail
    else:
        hint = why_nothing(quote, found.invoices)
    ids = [part.invoice_id for part in quote.parts]
    exit_, more = ("", {}) if view else await way_out(reads, quote.customer_id, ids)
    raise problem_of(
        Refusal("quote-stale", f"This quote {what}. {hint}{exit_}", "quote_id", conflict=True), new_quote=view, **more
    )


async def _stale(running: Running[Own], reads: Reads, found: Confirming) -> str | None:
    """Return what is wrong with a quote now; None if it can be confirmed."""
    quote = found.quote
    if quote.expires_at <= running.clock.now():
        return "has expired"
    if not still_fits(quote, found.invoices) or await _credit_is_owed(reads, quote):
        return "no longer fits what is owed"
    return "is of credit that was used meanwhile" if await _credit_is_gone(reads, quote) else None


async def _credit_is_owed(reads: Reads, quote: Quote) -> bool:
    """Whether the rest of an amount would become credit, but there are now invoices that it can pay."""
    if quote.choice != "amount" or not quote.credit:
        return False
    _, payable = await load_oldest(reads, quote.method_id, quote.customer_id, quote.amount.currency)
    return bool(payable.keys() - {part.invoice_id for part in quote.parts})


async def _credit_is_gone(reads: Reads, quote: Quote) -> bool:
    """Whether credit was to pay everything but can't any more, and the quote has no method for the rest."""
    if quote.method_id is not None:
        return False
    return await available_credit(reads, quote.customer_id, quote.amount.currency) < quote.credit_used


@router.get("/v1/payments/{payment_id}", response_model=PaymentView, tags=["payments"])
async def get_payment(payment_id: str, request: Request, identity: ReadPayments) -> Response:
    """Show a payment with its reversals."""
    reads = running_of(request).reads(identity)
    payment = await load_payment(reads, payment_id, identity.customer_id) if is_id(payment_id) else None
    if payment is None:
        raise not_found("payment", payment_id)
    return answer(orjson.dumps((await shown(reads, [payment]))[0]), 200)


@router.post("/v1/payments/{payment_id}/cancel", status_code=202, response_model=PaymentView, tags=["payments"])
async def cancel_payment(payment_id: str, request: Request, identity: Pay) -> Response:
    """Cancel a payment that waits for the payer's confirmation at the bank (`requires_action`).

    When the provider has cancelled the charge, the payment is `cancelled` (`payer_cancelled`), and its invoices can be
    paid again. If the payer has confirmed it meanwhile, the money counts. A second request gets the same answer.
    """
    running, cause = running_of(request), cause_of(request, identity)
    if not is_id(payment_id):
        raise not_found("payment", payment_id)
    async with running.units.begin(cause) as work:
        payment = await lock_payment(work, payment_id)
        if payment is None or not identity.sees(payment.customer_id):
            raise not_found("payment", payment_id)
        after = give_up(payment, cause.actor or "", work.now)
        if isinstance(after, Refusal):
            raise problem_of(after)
        if after != payment:
            await keep_given_up(work, after)
        work.wake("end-unconfirmed")
    (view,) = await shown(running.reads(identity), [after])
    return answer(orjson.dumps(view), 202, seen_header(after))
