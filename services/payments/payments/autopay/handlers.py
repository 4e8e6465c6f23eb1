"""Handles new invoices, and methods that banks refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from chassis.messaging.records import Received
from chassis.messaging.work import Work
from contracts import invoicing as heard
from payments.autopay.domain import AutopayCharge, hold, payer_of, schedule
from payments.autopay.messages import autopay_changed
from payments.autopay.saving import announce
from payments.autopay.store import add_charges, lock_autopay, lock_autopay_by_method, save_autopay
from payments.collecting.domain.surcharges import surcharge, terms_for
from payments.collecting.store.surcharges import load_rules
from payments.methods.data_files import CURRENCIES
from payments.methods.store.methods import load_methods


async def schedule_charges(issued: Sequence[Received[heard.InvoiceIssued]], work: Work) -> None:
    """Announce one charge for each invoice whose customer has autopay switched on.

    If none of its methods can pay in the invoice's currency, nothing is announced, and a person has to pay it.
    """
    by_customer = await lock_autopay(work, [received.event.customer_id for received in issued])
    if not by_customer:
        return
    methods = await load_methods(work.connection, [one for a in by_customer.values() for one in a.method_ids])
    announced: list[tuple[AutopayCharge, Received[heard.InvoiceIssued]]] = []
    for received in issued:
        event, autopay = received.event, by_customer.get(received.event.customer_id)
        currency, today = event.total.currency, work.clock.today()
        if autopay is not None and payer_of(autopay, methods, currency, CURRENCIES, today) is not None:
            at = received.time or work.now
            charge = schedule(autopay, event.invoice_id, event.issued_on, event.due_on, at, work.now, work.clock.zone)
            if charge is not None:
                announced.append((replace(charge, announced=event.payable_now.amount_minor), received))
    new = await add_charges(work, [charge for charge, _ in announced])
    rules = await load_rules(work.connection) if new else ()
    for charge, received in announced:
        if charge.id in new:
            amount = received.event.payable_now.money()
            method = methods[by_customer[charge.customer_id].method_for(amount.currency) or ""]
            more = surcharge(method, amount, terms_for(rules, method, amount.currency, charge.charge_on))
            work.cause = received.cause
            await announce(charge, amount, more, by_customer, work)


async def hold_by_method(failed: Mapping[str, str], work: Work) -> None:
    """Hold autopay that charges one of these methods, with the method's code as reason."""
    for autopay in await lock_autopay_by_method(work, list(failed)):
        why = next(failed[method_id] for method_id in autopay.method_ids if method_id in failed)
        held = hold(autopay, why, work.now)
        if held is not None:
            await save_autopay(work, held)
            work.emit(autopay_changed(held, work.now))
