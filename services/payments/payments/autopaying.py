"""Invoices that pay themselves: announced when they are issued, charged when their day comes, followed to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from chassis.http.idempotency import Key, fingerprint
from chassis.messaging.records import Received
from chassis.messaging.work import Cause, Work
from chassis.service import Running
from contracts import invoicing as heard
from contracts.money import Money
from payments import in_turn, messages, setting_up, store
from payments.data_files import CODES, CONSENT_TEXTS, CURRENCIES, RETRIES
from payments.domain import (
    AUTOPAY_ACTOR,
    Autopay,
    AutopayCharge,
    Code,
    Confirmed,
    PutOff,
    Skip,
    Step,
    Witness,
    confirm,
    consequence,
    follow,
    hold,
    schedule,
    surcharge,
    terms_for,
    to_surcharge,
)
from payments.domain.methods import Method, pays_in
from payments.providers import Provider
from payments.store.autopay import due_charges, ended_charges

BATCH = 100
ROUTE = "autopay"


async def schedule_charges(issued: Sequence[Received[heard.InvoiceIssued]], work: Work) -> None:
    """Announce the charge of each invoice whose customer has autopay switched on, once.

    What none of its methods can pay is not announced: it is left to be paid by hand.
    """
    by_customer = await store.lock_autopay(work, [received.event.customer_id for received in issued])
    if not by_customer:
        return
    methods = await store.load_methods(work.connection, [one for a in by_customer.values() for one in a.method_ids])
    announced: list[tuple[AutopayCharge, Received[heard.InvoiceIssued]]] = []
    for received in issued:
        event, autopay = received.event, by_customer.get(received.event.customer_id)
        if autopay is not None and _payable(event, autopay, methods, work):
            at = received.time or work.now
            charge = schedule(autopay, event.invoice_id, event.issued_on, event.due_on, at, work.now, work.clock.zone)
            if charge is not None:
                announced.append((charge, received))
    new = await store.add_charges(work, [charge for charge, _ in announced])
    rules = await store.load_rules(work.connection) if new else ()
    for charge, received in announced:
        if charge.id in new:
            amount = received.event.payable_now.money()
            method = methods[by_customer[charge.customer_id].method_for(amount.currency) or ""]
            more = surcharge(method, amount, terms_for(rules, method, amount.currency, charge.charge_on))
            work.cause = received.cause
            await _announce(charge, amount, more, by_customer, work)


def _payable(event: heard.InvoiceIssued, autopay: Autopay, methods: Mapping[str, Method], work: Work) -> bool:
    currency = event.total.currency
    method = methods.get(autopay.method_for(currency) or "")
    return method is not None and pays_in(CURRENCIES, method, currency, work.clock.today())


async def _announce(
    charge: AutopayCharge, amount: Money, surcharge: Money, charging: dict[str, Autopay], work: Work
) -> None:
    """Tell of a charge, when its customer's autopay charges: `charging`, locked, as they are after it."""
    autopay = charging.get(charge.customer_id)
    if autopay is not None:
        charging[charge.customer_id] = autopay = replace(autopay, sequence=autopay.sequence + 1)
        work.emit(messages.autopay_scheduled(charge, autopay, amount, surcharge, work.now))
        await store.save_autopay(work, autopay)


async def charge_due(running: Running) -> int:
    """Confirm what is due, all in one transaction; how many were taken.

    Where that fails, each is taken in a transaction of its own: one that can't be confirmed stops no other.
    """
    ids, taken = await due_charges(running.pool, running.clock.now(), BATCH), 0

    async def take(some: Sequence[str]) -> None:
        nonlocal taken
        taken += await _charge(some, running)

    await in_turn.together(running.units, "charge-autopay", ids, take)
    return taken


async def _charge(ids: Sequence[str], running: Running) -> int:
    """Save quotes, payments and tries in one transaction; how many there were.

    Whatever dies in between, either all of it was saved or nothing; the key of an invoice and try stands behind that.
    """
    provider: Provider = running.more["provider"]
    async with running.units.begin() as work:
        due = await store.claim_due(work, ids)
        decided = [(each.charge, _decide(each, provider, running, work)) for each in due]
        confirmed = [(charge, made) for charge, made in decided if isinstance(made, Confirmed)]
        saved = await _save(confirmed, work) if confirmed else set()
        charges: list[AutopayCharge] = []
        holds: list[tuple[AutopayCharge, str]] = []
        for charge, made in decided:
            if isinstance(made, Skip):
                charges.append(replace(charge, state="skipped", reason=made.reason))
                holds += [(charge, made.hold)] if made.hold else []
            elif isinstance(made, PutOff):
                charges.append(made.charge)
            elif made.step.payment.id in saved:
                charges.append(replace(charge, state="submitted", payment_id=made.step.payment.id))
            else:
                charges.append(replace(charge, state="skipped", reason="not_confirmed"))
        if charges:
            await store.save_charges(work, charges)
        await hold_autopay(holds, work)
    return len(due)


def _decide(due: store.Due, provider: Provider, running: Running, work: Work) -> Confirmed | Skip | PutOff:
    currency = due.invoice.currency if due.invoice else ""
    step = provider.charges_in(currency) if currency else 1
    made = confirm(
        due.charge, due.autopay, due.method, due.invoice, running.more["surcharge_rules"], step=step,
        retries=RETRIES, currencies=CURRENCIES, today=running.clock.today(), now=work.now, zone=running.clock.zone,
    )  # fmt: skip
    if isinstance(made, Confirmed) and provider.accepts(made.quote.total.minor, currency):
        return Skip("amount-not-chargeable")
    return made


async def _save(confirmed: Sequence[tuple[AutopayCharge, Confirmed]], work: Work) -> set[str]:
    """Quotes and payments under keys of their own; the ids of the payments that are new."""
    await store.add_quotes([made.quote for _, made in confirmed], work)
    new = []
    for charge, made in confirmed:
        step = made.step.under(charge.id)
        work.cause = Cause(correlation=charge.id, actor=AUTOPAY_ACTOR)
        work.emit(*messages.of([step], work.now))
        key = Key(charge.customer_id, ROUTE, key_of(charge), fingerprint({"charge": charge.id}))
        who, version = Witness(AUTOPAY_ACTOR, charge.id), CONSENT_TEXTS["autopay"].version
        consent = to_surcharge(made.quote, step.payment.id, True, version, who, work.now)
        new.append(store.NewPayment(step, key, store.Answer(202, b"{}", ""), consent=consent))
    return await store.add_payments(work, new)


def key_of(charge: AutopayCharge) -> str:
    """The same for each try of an invoice, whoever makes it."""
    return f"{charge.invoice_id}:{charge.attempt}"


async def follow_ends(running: Running) -> int:
    """What became of the payments: paid, tried again another day, or held; how many were taken."""
    ids, taken = await ended_charges(running.pool, BATCH), 0

    async def take(some: Sequence[str]) -> None:
        nonlocal taken
        taken += await _follow(some, running)

    await in_turn.together(running.units, "follow-autopay", ids, take)
    return taken


async def _follow(ids: Sequence[str], running: Running) -> int:
    async with running.units.begin(Cause(actor=AUTOPAY_ACTOR)) as work:
        ended = await store.claim_ended(work, ids)
        zone = running.clock.zone
        followed = [
            follow(each.charge, each.status, each.reason, each.method_kind, CODES, RETRIES, work.now, zone)
            for each in ended
        ]
        if followed:
            await store.save_charges(work, [each.charge for each in followed])
            new = await store.add_charges(work, [each.again for each in followed if each.again])
            await hold_autopay([(each.charge, each.hold) for each in followed if each.hold], work)
            charging = await store.lock_autopay(work, [each.charge.customer_id for each in followed if each.again])
            for each, before in zip(followed, ended, strict=True):
                if each.again is not None and each.again.id in new:
                    await _announce(each.again, before.amount, before.surcharge, charging, work)
    return len(ended)


async def hold_autopay(reasons: Sequence[tuple[AutopayCharge, str]], work: Work) -> None:
    """Stop charging the customers of charges, each for a reason, until a person switches it on again."""
    if not reasons:
        return
    charging = await store.lock_autopay(work, [charge.customer_id for charge, _ in reasons])
    for charge, reason in reasons:
        autopay = charging.get(charge.customer_id)
        held = hold(autopay, reason, work.now, charge.notice_at) if autopay else None
        if held is not None:
            charging[charge.customer_id] = held
            await store.save_autopay(work, held)
            work.emit(messages.autopay_changed(held, work.now))


async def follow_codes(steps: Sequence[Step], work: Work) -> None:
    """What declines, returns and chargebacks mean for the methods that they came from, and for autopay by these."""
    meant: dict[str, Code] = {}
    for step in steps:
        code = consequence(CODES, step, work.clock.today())
        if code is not None and step.payment.method_id is not None:
            meant[step.payment.method_id] = code
    if not meant:
        return
    disabled = {method_id: code.words for method_id, code in meant.items() if code.disables}
    if disabled:
        await setting_up.disable_methods(disabled, work)
    # A payer who mistypes a security code loses no autopay; autopay's own declines are followed in `follow_ends`.
    grave = {method_id: code for method_id, code in meant.items() if code.disables or code.kind != "decline"}
    holding = {method_id: code.code for method_id, code in grave.items() if code.holds_autopay}
    for autopay in await store.lock_autopay_by_method(work, list(holding)) if holding else ():
        why = next(holding[method_id] for method_id in autopay.method_ids if method_id in holding)
        held = hold(autopay, why, work.now)
        if held is not None:
            await store.save_autopay(work, held)
            work.emit(messages.autopay_changed(held, work.now))
