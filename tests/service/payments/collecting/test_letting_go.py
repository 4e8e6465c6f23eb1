"""A payer who lets go of a confirmation at the bank, and a provider that has the last word."""

from collections.abc import Iterator
from typing import cast

import pytest

from chassis.messaging.work import Units
from chassis.running import Running
from payments.collecting import jobs, reconciling
from payments.collecting.domain.payments import Payment, give_up
from payments.collecting.reconciling import Observed
from payments.collecting.store.payments import keep_given_up, load_payment, lock_payment
from payments.own import Own
from payments.providers import Charge, ChargeState, Provider, ProviderUnknown
from payments.settings import Settings
from tests.kit import paying


class Bank:
    """A provider that answers each try to cancel in turn: the charge's state by then; None: no answer."""

    def __init__(self, *states: ChargeState | None) -> None:
        self.states: Iterator[ChargeState | None] = iter(states)

    async def cancel_charge(self, _: str) -> Charge:
        state = next(self.states)
        if state is None:
            raise ProviderUnknown("timed out")
        return charge(state)


def charge(state: ChargeState) -> Charge:
    url = "https://bank.example/confirm" if state == "requires_action" else None
    return Charge("pi_1", None, state, 1_030, "USD", 1_030 if state == "succeeded" else 0, None, None, (), url)


async def tell(units: Units, payment: Payment, state: ChargeState) -> None:
    """What the provider's own record says, as a webhook brings it."""
    await units.together(reconciling.save_observed, Observed(charge(state), evidence=True, payment_id=payment.id))


async def given_up(units: Units) -> Payment:
    """A payment that waited for its payer, who has let go of it."""
    payment, _ = await paying.submitted(units)
    await tell(units, payment, "requires_action")
    async with units.begin() as work:
        waiting = await lock_payment(work, payment.id)
        assert waiting is not None
        after = give_up(waiting, "user:u", work.now)
        assert isinstance(after, Payment)
        await keep_given_up(work, after)
    return after


async def end(units: Units, bank: Bank) -> None:
    own = Own(cast(Provider, bank))
    await jobs.end_unconfirmed(Running(Settings(), units.clock, units.pool, units, own))


async def now(units: Units, payment: Payment) -> Payment:
    found = await load_payment(units.pool, payment.id, None)
    assert found is not None
    return found


class TestGivingUp:
    async def test_ends_once_the_provider_has_cancelled(self, units: Units) -> None:
        payment, bank = await given_up(units), Bank(None, "cancelled")
        await end(units, bank)  # no answer: nothing is known, and it is asked again
        waiting = await now(units, payment)
        assert (waiting.status, waiting.given_up, waiting.next_action_url) == ("requires_action", True, None)
        await units.pool.execute("UPDATE setbacks SET next_at = now()")
        await end(units, bank)
        await end(units, bank)  # nothing is left to ask
        ended = await now(units, payment)
        assert (ended.status, ended.reason, ended.let_go_by, ended.act_by) == (
            "cancelled", "payer_cancelled", "user:u", None,
        )  # fmt: skip
        told = await units.pool.fetch(
            "SELECT type, headers::jsonb->>'actor' AS actor FROM outbox ORDER BY sequence DESC LIMIT 1"
        )
        assert [tuple(row) for row in told] == [("PaymentCancelled", "user:u")]

    @pytest.mark.parametrize("first", ["webhook", "reply"])
    async def test_money_of_the_same_moment_is_kept(self, units: Units, first: str) -> None:
        payment = await given_up(units)
        if first == "webhook":
            await tell(units, payment, "succeeded")
            await end(units, Bank())
        else:
            await end(units, Bank("succeeded"))
            await tell(units, payment, "succeeded")
        paid = await now(units, payment)
        assert (paid.status, paid.reconciliation, paid.act_by) == ("succeeded", "matched", None)
        assert await units.pool.fetchval("SELECT count(*) FROM ledger_transactions") == 1

    async def test_older_record_does_not_undo_it(self, units: Units) -> None:
        payment = await given_up(units)
        await tell(units, payment, "requires_action")
        waiting = await now(units, payment)
        assert (waiting.given_up, waiting.next_action_url, waiting.act_by) == (True, None, payment.act_by)
        await tell(units, payment, "cancelled")  # the provider's event comes before the reply to the call
        assert (await now(units, payment)).reason == "payer_cancelled"
