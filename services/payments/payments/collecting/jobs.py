"""Jobs and tasks: call the provider, poll its records, read its events, open exceptions for late payments."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

import structlog

from chassis.messaging.work import Units
from chassis.running import Running
from chassis.tasks.queue import Later, Task, done
from payments.collecting import reconciling
from payments.collecting.domain.payments import NEVER_MADE, Attempt, Payment, overdue, unanswered
from payments.collecting.domain.reversals import processing, refused
from payments.collecting.messages import payment_events
from payments.collecting.reconciling import Observed
from payments.collecting.store.attempts import (
    call_again,
    claim_attempts,
    claim_polls,
    next_poll,
    payments_overdue,
    payments_to_end,
)
from payments.collecting.store.payments import lock_payment, save_steps
from payments.collecting.store.provider_events import events_known, load_cursor, save_cursor
from payments.collecting.store.reversals import RefundCall, load_refund_call, load_reversals
from payments.own import Own
from payments.providers import Charge, ChargeRequest, Provider, ProviderRefused, ProviderUnknown, RefundRequest
from payments.setbacks import in_turn
from payments.setbacks.in_turn import side_by_side
from payments.setbacks.store import due_again

log = structlog.get_logger()

# Stripe keeps an Idempotency-Key for at least a day. Within that time, the same call again returns the first outcome.
KEY_LIVES = timedelta(hours=20)
SOONEST, LONGEST_WAIT = timedelta(seconds=0.5), timedelta(seconds=20)
EVENTS = 100


async def call_provider(running: Running[Own]) -> bool:
    """Begin the due calls, as many as may run at a time. A call without an outcome is made again after its lease."""
    under_way: set[asyncio.Task[None]] = running.own.calls
    free = running.settings.charges_at_once - len(under_way)
    attempts = await claim_attempts(running.pool, free) if free else []
    for attempt in attempts:
        call = asyncio.create_task(side_by_side([_call(running.units, running.own.provider, attempt)]))
        under_way.add(call)
        call.add_done_callback(partial(_ended, running))
    return bool(attempts)


def _ended(running: Running[Own], call: asyncio.Task[None]) -> None:
    """Begin the next call as soon as there is room, so that a slow call delays no other."""
    under_way: set[asyncio.Task[None]] = running.own.calls
    if len(under_way) == running.settings.charges_at_once:
        running.units.woken["call-provider"].set()
    under_way.discard(call)


async def _call(units: Units, provider: Provider, attempt: Attempt) -> None:
    try:
        charge = await _charge(units, provider, attempt)
    except ProviderUnknown as error:
        log.info("provider's answer unknown", attempt=attempt.id, calls=attempt.calls, error=type(error).__name__)
        await _unknown(units, attempt)
        return
    except ProviderRefused as refused:
        charge = _refused(attempt, refused)
    await units.together(reconciling.save_observed, Observed(charge, evidence=False, payment_id=attempt.payment_id))


async def _charge(units: Units, provider: Provider, attempt: Attempt) -> Charge:
    request = ChargeRequest(
        attempt.id, attempt.payment_id, attempt.provider_customer, attempt.provider_method, attempt.amount.minor,
        attempt.amount.currency, attempt.return_url is not None, attempt.return_url,
    )  # fmt: skip
    if units.clock.now() - attempt.begun_at < KEY_LIVES:
        return await provider.charge(request)
    found = await provider.find_charge(attempt.provider_customer, attempt.id, attempt.begun_at - timedelta(minutes=5))
    return found or _refused(attempt, ProviderRefused("never made", NEVER_MADE))


def _refused(attempt: Attempt, refused: ProviderRefused) -> Charge:
    """The charge of a call that the provider refused for good: no money moved and none will."""
    reason = refused.code or "refused_by_provider"
    money = attempt.amount
    return Charge(f"refused:{attempt.id}", attempt.id, "declined", money.minor, money.currency, 0, None, reason)


async def _unknown(units: Units, attempt: Attempt) -> None:
    async with units.begin() as work:
        payment = await lock_payment(work, attempt.payment_id)
        step = unanswered(payment) if payment else None
        if step:
            work.emit(*payment_events([step], work.now))
            await save_steps(work, [step])
        await call_again(work, attempt.id, _later(attempt.calls))


async def call_refund(task: Task, running: Running[Own]) -> None:
    """Ask the provider for a refund. Only its record, not its reply, shows that the money went."""
    units, call = running.units, await load_refund_call(running.pool, task.id)
    if call is None:
        return
    try:
        code = await _refusal(units, running.own.provider, call)
    except ProviderUnknown as error:
        log.info("provider's answer unknown", refund=task.id, error=type(error).__name__)
        since = units.clock.now() - call.reversal.created_at
        raise Later(min(max(since, SOONEST), LONGEST_WAIT)) from None
    async with units.begin(task.cause) as work:
        payment = await lock_payment(work, call.reversal.payment_id)
        known = await load_reversals(work.connection, [call.reversal.payment_id])
        now = next((each for each in known if each.id == task.id), None)
        if payment is not None and now is not None and now.state == "requested":
            step = refused(payment, now, code) if code else processing(payment, now, work.now)
            work.emit(*payment_events([step], work.now))
            await save_steps(work, [step])
        await done(work, task)


async def _refusal(units: Units, provider: Provider, call: RefundCall) -> str | None:
    """Ask for the refund under its own key; return why it will never be given, or None."""
    reversal = call.reversal
    request = RefundRequest(reversal.id, call.charge_id, reversal.total.minor, reversal.total.currency)
    try:
        if units.clock.now() - reversal.created_at < KEY_LIVES:
            await provider.refund(request)
        elif not await _made_already(units, provider, call):
            return NEVER_MADE
    except ProviderRefused as error:
        return error.code or "refused_by_provider"
    except ValueError:  # a sum that the provider has no unit for
        return "amount_not_possible"
    return None


async def _made_already(units: Units, provider: Provider, call: RefundCall) -> bool:
    """Look in the charge's record if the refund was made, because the provider may have forgotten its key."""
    charge = await provider.get_charge(call.charge_id)
    if not any(back.refund_id == call.reversal.id for back in charge.taken_back):
        return False
    await units.together(
        reconciling.save_observed, Observed(charge, evidence=True, payment_id=call.reversal.payment_id)
    )
    return True


def _later(calls: int) -> timedelta:
    """How long to wait for the next call after so many calls without an answer."""
    return min(SOONEST * (1 << min(calls - 1, 6)), LONGEST_WAIT)


async def poll_provider(running: Running[Own]) -> bool:
    """Read the provider's records of payments that wait for them."""
    provider = running.own.provider
    due = await claim_polls(running.pool, running.clock.now(), running.settings.charges_at_once)
    await side_by_side(
        reconciling.poll(running.units, provider, payment_id, provider_id) for payment_id, provider_id in due
    )
    return False


async def until_next_poll(running: Running[Own]) -> float | None:
    """The seconds until the next poll. Whoever saves a payment that is to be polled wakes the job."""
    return await next_poll(running.pool, running.clock.now())


async def catch_up_events(running: Running[Own]) -> bool:
    """Read the provider's events since the last time, for lost webhooks and for returns long after the payment."""
    provider = running.own.provider
    events = await provider.events_since(await load_cursor(running.pool), EVENTS)
    new = {event.id: event for event in events}

    async def take(event_id: str) -> None:
        event = new.get(event_id) or await provider.get_event(event_id)
        await reconciling.take_event(running.units, provider, event)

    again = await due_again(running.pool, "catch-up-events", EVENTS)
    known = await events_known(running.pool, [*again, *new])
    ids = [each for each in dict.fromkeys([*again, *new]) if each in again or each not in known]
    await in_turn.one_by_one(running.units, "catch-up-events", ids, take, at_once=EVENTS)
    if events:  # failed events are kept by their ids, and read again
        await save_cursor(running.pool, events[-1].id)
    return len(events) == EVENTS


async def notice_overdue(running: Running[Own]) -> bool:
    """Open exceptions for payments that the provider's record has not confirmed in time."""
    ids = await payments_overdue(running.pool, running.clock.today(), 100)
    await in_turn.one_by_one(running.units, "notice-overdue", ids, partial(_notice, running))
    return len(ids) == 100


async def _notice(running: Running[Own], payment_id: str) -> None:
    async with running.units.begin() as work:
        payment = await lock_payment(work, payment_id)
        if payment is not None and _is_overdue(payment, running):
            step = overdue(payment)
            work.emit(*payment_events([step], work.now))
            await save_steps(work, [step])


async def end_unconfirmed(running: Running[Own]) -> bool:
    """Cancel charges whose payer did not act in time or gave up. The payment ends when the provider has cancelled."""
    provider = running.own.provider
    at_once = running.settings.charges_at_once
    due = dict(await payments_to_end(running.pool, running.clock.now(), at_once))

    async def end(payment_id: str) -> None:
        charge = await provider.cancel_charge(due[payment_id])
        await running.units.together(reconciling.save_observed, Observed(charge, evidence=False, payment_id=payment_id))

    await in_turn.one_by_one(running.units, "end-unconfirmed", list(due), end, at_once=at_once)
    return False


def _is_overdue(payment: Payment, running: Running[Own]) -> bool:
    late = payment.expected_by is not None and payment.expected_by < running.clock.today()
    return late and payment.reconciliation == "waiting"
