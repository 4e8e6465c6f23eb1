"""What payments does when it hears something."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.messaging.consume import Handlers, Lock, Received
from chassis.messaging.work import Work
from contracts import invoicing as heard
from payments import messages, store
from payments.domain import cancel, reserve

handlers = Handlers("payments")
payment_of = Lock(1, "payments", lambda event: event.payment_id)


@handlers.on(heard.ReservationPlaced, lock=payment_of, acts=True)
async def charge_reserved_payment(event: heard.ReservationPlaced, work: Work) -> None:
    payment = await store.load_payment(work.connection, event.payment_id, None)
    if payment is None or payment.method_id is None or payment.status != "submitted":
        raise LookupError(f"no payment {event.payment_id} waits for a reservation")
    method = await store.load_method(work.connection, payment.method_id, payment.customer_id)
    whose = await store.find_provider_customer(work.connection, payment.customer_id)
    if method is None or whose is None:
        raise LookupError(f"the method of payment {payment.id} is unknown")
    step, attempt = reserve(payment, method, whose, work.now)
    await store.save_steps(work, [step])
    await store.add_attempt(work, attempt)


@handlers.on(heard.ReservationRefused, lock=payment_of)
async def cancel_refused_payment(event: heard.ReservationRefused, work: Work) -> None:
    payment = await store.load_payment(work.connection, event.payment_id, None)
    if payment is None or payment.status != "submitted":
        raise LookupError(f"no payment {event.payment_id} waits for a reservation")
    step = cancel(payment, event.reason)
    await store.save_steps(work, [step])
    work.emit(*messages.of([step], work.now))


@handlers.on_many(heard.SettlementPosted, heard.SettlementReversed, lock=payment_of)
async def keep_allocations(events: Sequence[Received[Any]], work: Work) -> None:
    settled = [
        (received.event.payment_id, (), 0)
        if isinstance(received.event, heard.SettlementReversed)
        else (received.event.payment_id, received.event.allocations, received.event.credit.amount_minor)
        for received in events
    ]
    await store.keep_allocations(work, settled)


@handlers.on_many(
    heard.InvoiceIssued,
    heard.InvoiceChanged,
    heard.InvoiceInProgress,
    heard.InvoicePaid,
    heard.InvoiceReopened,
    heard.InvoiceVoided,
    heard.InvoiceWrittenOff,
)
async def keep_invoices(events: Sequence[Received[Any]], work: Work) -> None:
    await store.keep_invoices(work, events)


@handlers.on_many(heard.CustomerChanged)
async def keep_customers(events: Sequence[Received[heard.CustomerChanged]], work: Work) -> None:
    await store.keep_customers(work, sorted({received.event.customer_id for received in events}))
