"""From what the provider says to what the payment is: replies, webhooks and polls all come through here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from chassis.clock import Clock
from chassis.messaging.work import Units, Work
from contracts.money import Money
from payments import messages, store
from payments.domain import Payment, Seen, Step, observe, poll_later
from payments.providers import Charge, Provider, ProviderEvent

log = structlog.get_logger()


async def record(work: Work, payment: Payment, charge: Charge, *, evidence: bool) -> Sequence[Step]:
    """Save what follows from a charge, with the payment locked by the caller; the steps, none when nothing is new."""
    steps = observe(payment, _seen(charge, work.clock, evidence=evidence), work.now)
    await store.save_steps(work, steps)
    work.emit(*messages.of(steps, work.now))
    return steps


def _seen(charge: Charge, clock: Clock, *, evidence: bool) -> Seen:
    """In our terms; the provider's instants become days of the company's calendar."""
    gone = charge.returned
    return Seen(
        provider_id=charge.provider_id,
        state=charge.state,
        captured=Money(charge.captured_minor, charge.currency),
        on=clock.date_of(charge.cleared_on) if charge.cleared_on else clock.today(),
        reason=charge.reason,
        evidence=evidence,
        returned_minor=gone.amount_minor if gone else 0,
        returned_code=gone.code if gone else None,
        returned_on=clock.date_of(gone.at) if gone else None,
    )


async def take_event(units: Units, provider: Provider, event: ProviderEvent) -> None:
    """A provider's event, once by its id. One that doesn't name its attempt is looked up before the transaction."""
    charge = event.charge
    if charge is not None and charge.attempt_id is None:
        charge = await provider.get_charge(charge.provider_id)
    async with units.begin() as work:
        if not await store.first_time(work, event.id, event.kind, event.occurred_at):
            return
        if charge is not None and charge.attempt_id is not None:
            payment = await store.lock_payment_of_attempt(work, charge.attempt_id)
            if payment is not None:
                await record(work, payment, charge, evidence=True)


async def poll(units: Units, provider: Provider, payment_id: str, provider_id: str) -> None:
    """Ask the provider's own record of one charge."""
    charge = await provider.get_charge(provider_id)
    async with units.begin() as work:
        payment = await store.lock_payment(work, payment_id)
        if payment is None:
            return
        steps = await record(work, payment, charge, evidence=True)
        await _again_later(work, steps[-1].payment if steps else payment, work.now)


async def _again_later(work: Work, payment: Payment, now: datetime) -> None:
    if payment.next_poll_at is not None and payment.next_poll_at <= now:
        await store.save_steps(work, [Step(poll_later(payment, now), "moved")])
