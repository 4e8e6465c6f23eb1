"""Jobs of autopay: charge due tries, and follow their payments to the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chassis.messaging.work import Cause, Work
from chassis.running import Running
from payments.autopay.data_files import RETRIES
from payments.autopay.domain import (
    AUTOPAY_ACTOR,
    HELD_BACK,
    AutopayCharge,
    ConfirmedQuote,
    PutOff,
    Skip,
    confirm,
    follow,
)
from payments.autopay.resuming import resume_charges
from payments.autopay.saving import announce, hold_autopay
from payments.autopay.store import (
    Due,
    add_charges,
    claim_due,
    claim_ended,
    due_charges,
    ended_charges,
    lock_autopay,
    save_charges,
)
from payments.collecting.domain.quotes import to_surcharge
from payments.collecting.messages import payment_events
from payments.collecting.store.payments import NewPayment, add_payments
from payments.collecting.store.quotes import add_quotes
from payments.methods.data_files import CONSENT_TEXTS, CURRENCIES
from payments.methods.domain.consents import Witness
from payments.own import Own
from payments.providers import Provider
from payments.providers.data_files import CODES
from payments.setbacks import in_turn

BATCH = 100


async def charge_autopay(running: Running[Own]) -> bool:
    return await charge_due(running) == BATCH


async def charge_due(running: Running[Own]) -> int:
    """Charge all due tries in one transaction; return how many there were.

    If that fails, each is charged in a transaction of its own, so that one that fails stops no other.
    """
    ids, taken = await due_charges(running.pool, running.clock.now(), BATCH), 0

    async def take(some: Sequence[str]) -> None:
        nonlocal taken
        taken += await _charge(some, running)

    await in_turn.together(running.units, "charge-autopay", ids, take)
    return taken


async def _charge(ids: Sequence[str], running: Running[Own]) -> int:
    """Save quotes, payments and tries in one transaction; return how many there were.

    If the process dies, either all of it was saved or nothing. The database also allows only one payment for a try.
    """
    provider = running.own.provider
    async with running.units.begin() as work:
        due = await claim_due(work, ids)
        decided = [(each.charge, _decide(each, provider, running, work)) for each in due]
        confirmed = [(charge, made) for charge, made in decided if isinstance(made, ConfirmedQuote)]
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
                charges.append(
                    replace(
                        charge,
                        state="submitted",
                        payment_id=made.step.payment.id,
                        reason=made.reason,
                        left_out=made.left_out,
                    )
                )
            else:
                charges.append(replace(charge, state="skipped", reason="not_confirmed"))
        if charges:
            await save_charges(work, charges)
        await hold_autopay(holds, work)
        await _resume(charges, work)
    return len(due)


def _decide(due: Due, provider: Provider, running: Running[Own], work: Work) -> ConfirmedQuote | Skip | PutOff:
    currency = due.invoice.currency if due.invoice else ""
    step = provider.charges_in(currency) if currency else 1
    made = confirm(
        due.charge, due.autopay, due.method, due.invoice, running.own.surcharge_rules, step=step,
        retries=RETRIES, currencies=CURRENCIES, today=running.clock.today(), now=work.now, zone=running.clock.zone,
    )  # fmt: skip
    if isinstance(made, ConfirmedQuote) and provider.accepts(made.quote.total.minor, currency):
        return Skip("amount-not-chargeable")
    return made


async def _save(confirmed: Sequence[tuple[AutopayCharge, ConfirmedQuote]], work: Work) -> set[str]:
    """Save quotes and payments, one of each for a try; return the ids of the payments that were saved."""
    await add_quotes([made.quote for _, made in confirmed], work)
    new = []
    for charge, made in confirmed:
        step = made.step.under(charge.id)
        work.cause = Cause(correlation=charge.id, actor=AUTOPAY_ACTOR)
        work.emit(*payment_events([step], work.now))
        who, version = Witness(AUTOPAY_ACTOR, charge.id), CONSENT_TEXTS["autopay"].version
        consent = to_surcharge(made.quote, step.payment.id, True, version, who, work.now)
        new.append(NewPayment(step, consent=consent, autopay_charge_id=charge.id))
    return await add_payments(work, new)


async def follow_autopay(running: Running[Own]) -> bool:
    return await follow_ends(running) == BATCH


async def follow_ends(running: Running[Own]) -> int:
    """Follow ended payments: paid, tried again another day, or held. Return how many there were."""
    ids, taken = await ended_charges(running.pool, BATCH), 0

    async def take(some: Sequence[str]) -> None:
        nonlocal taken
        taken += await _follow(some, running)

    await in_turn.together(running.units, "follow-autopay", ids, take)
    return taken


async def _follow(ids: Sequence[str], running: Running[Own]) -> int:
    async with running.units.begin(Cause(actor=AUTOPAY_ACTOR)) as work:
        ended = await claim_ended(work, ids)
        zone = running.clock.zone
        followed = [
            follow(each.charge, each.status, each.reason, each.method_kind, CODES, RETRIES, work.now, zone)
            for each in ended
        ]
        if followed:
            await save_charges(work, [each.charge for each in followed])
            again = [
                replace(each.again, announced=before.amount.minor)
                for each, before in zip(followed, ended, strict=True)
                if each.again
            ]
            new = await add_charges(work, again)
            await hold_autopay([(each.charge, each.hold) for each in followed if each.hold], work)
            charging = await lock_autopay(work, [each.charge.customer_id for each in followed if each.again])
            for each, before in zip(followed, ended, strict=True):
                if each.again is not None and each.again.id in new:
                    await announce(each.again, before.amount, before.surcharge, charging, work)
            await _resume([each.charge for each in followed], work)
    return len(ended)


async def _resume(ended: Sequence[AutopayCharge], work: Work) -> None:
    """The hold may be over already, or end on a known day."""
    left, cause = [each for each in ended if (each.state, each.reason) in HELD_BACK], Cause(actor=AUTOPAY_ACTOR)
    await resume_charges({each.invoice_id: (each.customer_id, cause) for each in left}, work)
