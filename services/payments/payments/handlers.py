"""The events that payments hears, and the context that handles each: of invoicing, and announcements of collecting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chassis.messaging.handlers import Handlers, Lock
from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import invoicing as heard
from payments.autopay.handlers import hold_by_method, schedule_charges
from payments.autopay.resuming import resume_charges
from payments.autopay.store import held_back_among
from payments.collecting.announcing import methods_failed, payouts_changed, receipt_voided
from payments.collecting.handlers import cancel_refused_payments, charge_reserved_payments, keep_allocations
from payments.projections.domain import CLOSED
from payments.projections.handlers import forget_customers, keep_credits, keep_customers
from payments.projections.store import keep_invoices as save_invoices
from payments.receiving.handlers import read_payouts_again, wait_again

handlers = Handlers("payments")
payment_of = Lock(1, "payments", lambda event: event.payment_id)

handlers.on_many(heard.ReservationPlaced, lock=payment_of, acts=True)(charge_reserved_payments)
handlers.on_many(heard.ReservationRefused, lock=payment_of)(cancel_refused_payments)
handlers.on_many(heard.SettlementPosted, heard.SettlementReversed, heard.CreditApplied, lock=payment_of)(
    keep_allocations
)
handlers.on_many(heard.CreditChanged)(keep_credits)
handlers.on_many(heard.CreditNoteIssued, heard.CreditNoteChanged)(keep_credits)
handlers.on_many(heard.CustomerChanged)(keep_customers)
handlers.on_many(heard.CustomerErased)(forget_customers)


@handlers.on_many(
    heard.InvoiceIssued,
    heard.InvoiceChanged,
    heard.InvoiceInProgress,
    heard.InvoicePaid,
    heard.InvoiceReopened,
    heard.InvoiceVoided,
    heard.InvoiceWrittenOff,
    heard.InvoiceHeld,
    heard.InvoiceHoldEnded,
)
async def keep_invoices(events: Sequence[Received[Any]], work: Work) -> None:
    """Save invoices first; then autopay announces charges for those that were issued and are still owed, and for what
    was held of others until now.

    If a hold ends during a payment, that comes once the payment has ended. Of the many invoices that change otherwise,
    few lock their customers' autopay: those that can be paid now and of which a try left something out.
    """
    await save_invoices(work, events)
    newest = {received.event.invoice_id: received.event for received in events}
    closed = {received.event.invoice_id for received in events if received.event.status in CLOSED}
    issued = [received for received in events if isinstance(received.event, heard.InvoiceIssued)]
    owed = [received for received in issued if received.event.invoice_id not in closed]
    if owed:
        await schedule_charges(owed, work)
    ended = [r for r in events if isinstance(r.event, heard.InvoiceHoldEnded) and r.event.invoice_id not in closed]
    changed = {r.event.invoice_id for r in events if isinstance(r.event, heard.InvoiceChanged)} - closed
    payable = {invoice_id for invoice_id in changed if newest[invoice_id].payable_now.amount_minor > 0}
    if payable and (left := await held_back_among(work, payable)):
        ended += [r for r in events if isinstance(r.event, heard.InvoiceChanged) and r.event.invoice_id in left]
    await resume_charges({each.event.invoice_id: (each.event.customer_id, each.cause) for each in ended}, work)


receipt_voided.heard_by(wait_again)
payouts_changed.heard_by(read_payouts_again)
methods_failed.heard_by(hold_by_method)
