"""Handles the events of invoicing about reservations and settlements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import invoicing as heard
from contracts.refusals import Refusal
from payments.collecting.domain.credit_uses import Moved, follow_credit
from payments.collecting.domain.payments import Attempt, Payment, Step, cancel, reserve, settle_by_credit
from payments.collecting.domain.quotes import MOST_PARTS, Wishes, choose_again, make_quote
from payments.collecting.messages import payment_events
from payments.collecting.store import payments as payment_store
from payments.collecting.store.credit_uses import load_credit_uses, save_credit_uses
from payments.collecting.store.payments import Chargeable, load_chargeable, save_steps
from payments.collecting.store.quotes import add_quotes, load_confirming, load_payable
from payments.methods.domain.methods import unusable
from payments.projections.store import available_credit


async def charge_reserved_payments(events: Sequence[Received[heard.ReservationPlaced]], work: Work) -> None:
    ids = [received.event.payment_id for received in events]
    found = await load_chargeable(work, ids)
    steps, attempts = list[Step](), list[Attempt]()
    for received in events:
        payment = found[received.event.payment_id].payment if received.event.payment_id in found else None
        if payment is not None and payment.status == "submitted" and not payment.total:
            steps.append(settle_by_credit(payment, work.clock.today()))
            work.cause = received.cause
            work.emit(*payment_events(steps[-1:], work.now))
            continue
        step, attempt = _reserve(received.event.payment_id, found, work.now)
        steps.append(step)
        attempts.append(attempt)
    await save_steps(work, steps, attempts=attempts)
    work.wake("call-provider")


def _reserve(payment_id: str, found: Mapping[str, Chargeable], now: datetime) -> tuple[Step, Attempt]:
    chargeable = found.get(payment_id)
    if chargeable is None or chargeable.payment.status != "submitted":
        raise LookupError(f"no payment {payment_id} waits for a reservation")
    if chargeable.provider_method is None or chargeable.provider_customer is None:
        raise LookupError(f"the method of payment {payment_id} is unknown")
    return reserve(chargeable.payment, chargeable.provider_method, chargeable.provider_customer, now)


async def cancel_refused_payments(events: Sequence[Received[heard.ReservationRefused]], work: Work) -> None:
    found = await load_chargeable(work, [received.event.payment_id for received in events])
    steps = []
    for received in events:
        chargeable = found.get(received.event.payment_id)
        if chargeable is None or chargeable.payment.status != "submitted":
            raise LookupError(f"no payment {received.event.payment_id} waits for a reservation")
        again = await _quote_again(chargeable.payment, work)
        steps.append(cancel(chargeable.payment, received.event.reason, again))
        work.cause = received.cause
        work.emit(*payment_events(steps[-1:], work.now))
    await save_steps(work, steps)


async def _quote_again(payment: Payment, work: Work) -> str | None:
    """Make a quote of the same choice, as far as it can still be paid; None if nothing of it can."""
    found = await load_confirming(work.connection, payment.quote_id or payment.id, None)
    choice = choose_again(found.quote, found.invoices) if found else None
    if found is None or choice is None:
        return None
    quote, invoices = found.quote, found.invoices
    if not isinstance(choice, Wishes):
        whose, currency = quote.customer_id, quote.amount.currency
        _, invoices = await load_payable(work.connection, quote.method_id, whose, currency, MOST_PARTS + 1)
    credit = 0
    if quote.credit_used:
        credit = await available_credit(work.connection, quote.customer_id, quote.amount.currency)
    made = make_quote(
        found.method, choice, invoices, quote.terms, work.now, quote.step, credit, customer_id=quote.customer_id
    )
    if isinstance(made, Refusal) or (found.method and unusable(found.method, work.clock.today())):
        return None
    await add_quotes([made], work)
    return made.id


async def keep_allocations(events: Sequence[Received[Any]], work: Work) -> None:
    back = [
        (received.event.payment_id, received.event.allocations)
        for received in events
        if isinstance(received.event, heard.SettlementReversed) and received.event.allocations
    ]
    by_credit = {
        received.event.payment_id: received.event.by_credit
        for received in events
        if isinstance(received.event, heard.SettlementPosted) and received.event.by_credit is not None
    }
    await payment_store.keep_allocations(work, [_left(received.event) for received in events], back, by_credit)
    await _follow_credit(events, work)


async def _follow_credit(events: Sequence[Received[Any]], work: Work) -> None:
    """Keep which receipt's credit paid for which payment, so that the payment shows it if that credit goes back."""
    kinds = heard.CreditApplied | heard.SettlementReversed
    moves = [_moved(each) for each in events if isinstance(each.event, kinds) and each.event.allocations]
    before = await load_credit_uses(work, {move.receipt_id for move in moves if move.applied_by is None})
    if changed := follow_credit(before, moves):
        await save_credit_uses(work, before, changed)


def _moved(received: Received[heard.CreditApplied | heard.SettlementReversed]) -> Moved:
    event = received.event
    parts = tuple((part.invoice_id, part.amount.amount_minor) for part in event.allocations)
    applied_by = event.applied_by if isinstance(event, heard.CreditApplied) else None
    return Moved(event.payment_id, received.sequence, parts, applied_by)


def _left(
    event: heard.SettlementPosted | heard.SettlementReversed | heard.CreditApplied,
) -> tuple[str, Sequence[heard.AllocatedPart], int]:
    """The parts and the credit of the payment after the event."""
    if isinstance(event, heard.SettlementReversed | heard.CreditApplied):
        return event.payment_id, event.left, event.credit_left.amount_minor if event.credit_left else 0
    return event.payment_id, event.allocations, event.credit.amount_minor
