"""Charges what earlier tries left out, because it was held or not announced."""

from __future__ import annotations

from collections.abc import Mapping

from chassis.messaging.work import Cause, Work
from contracts.money import Money
from payments.autopay.data_files import RETRIES
from payments.autopay.domain import payer_of, resume
from payments.autopay.saving import announce
from payments.autopay.store import add_charges, load_held_back, lock_autopay
from payments.collecting.domain.surcharges import surcharge, terms_for
from payments.collecting.store.surcharges import load_rules
from payments.methods.data_files import CURRENCIES
from payments.methods.store.methods import load_methods


async def resume_charges(invoices: Mapping[str, tuple[str, Cause]], work: Work) -> None:
    """Announce a charge for what the last try of each invoice left out, if that can be charged now or on a known day.

    `invoices`: the customer of each, and what caused this: a hold ended, or the last try ended. Whichever comes
    second announces it. Both lock the customer's autopay first, so that each sees what the other saved.
    """
    by_customer = await lock_autopay(work, [customer_id for customer_id, _ in invoices.values()]) if invoices else {}
    last = await load_held_back(work, list(invoices)) if by_customer else {}
    if not last:
        return
    methods = await load_methods(work.connection, [one for a in by_customer.values() for one in a.method_ids])
    rules = await load_rules(work.connection)
    for invoice_id, (before, invoice) in last.items():
        autopay = by_customer.get(before.customer_id)
        method = autopay and payer_of(autopay, methods, invoice.currency, CURRENCIES, work.clock.today())
        charge = resume(autopay, before, invoice, work.now, work.clock.zone) if autopay and method else None
        if not method or not charge or not charge.in_time(RETRIES, method.kind, charge.charge_on, charge.charge_at):
            continue
        if await add_charges(work, [charge]):
            amount = Money(charge.announced or 0, invoice.currency)
            more = surcharge(method, amount, terms_for(rules, method, amount.currency, charge.charge_on))
            _, work.cause = invoices[invoice_id]
            await announce(charge, amount, more, by_customer, work)
