"""How the provider's records reach the database."""

from datetime import UTC, datetime
from typing import cast

import pytest

from chassis.messaging.work import Units
from chassis.running import Running
from payments.collecting import jobs, reconciling
from payments.collecting.reconciling import Observed
from payments.own import Own
from payments.providers import Charge, Provider, ProviderEvent, ProviderRefused
from tests.kit import paying

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class NoRecord:
    """A provider that has no such charge."""

    async def get_charge(self, _: str) -> Charge:
        raise ProviderRefused("No such payment_intent", "resource_missing")


@pytest.mark.parametrize("attempt", ["order-7", None, "01890a5d-ac96-774b-bcce-b302099a8057"])
async def test_foreign_charge_is_noted_and_changes_nothing(units: Units, attempt: str | None) -> None:
    charge = Charge("pi_other", attempt, "succeeded", 100, "USD", 100, NOW, None)
    event = ProviderEvent("evt_1", "payment_intent.succeeded", NOW, charge)
    await reconciling.take_event(units, cast(Provider, NoRecord()), event)
    assert await units.pool.fetchval("SELECT id FROM provider_events") == "evt_1"
    assert await units.pool.fetchval("SELECT count(*) FROM outbox") == 0


class TestPolling:
    def running(self, units: Units) -> Running:
        return Running(None, units.clock, units.pool, units, Own(cast(Provider, NoRecord())))

    async def test_payment_in_process_wakes_the_job(self, units: Units) -> None:
        assert await jobs.until_next_poll(self.running(units)) is None
        payment, _ = await paying.submitted(units)
        assert not units.woken["poll-provider"].is_set()
        charge = Charge("pi_1", None, "processing", 1_030, "USD", 0, None, None)
        await units.together(reconciling.save_observed, Observed(charge, evidence=True, payment_id=payment.id))
        assert units.woken["poll-provider"].is_set()
        seconds = await jobs.until_next_poll(self.running(units))
        assert seconds is not None
        assert 0 < seconds <= 2

    async def test_final_payment_wakes_nobody(self, units: Units) -> None:
        payment, _ = await paying.submitted(units)
        charge = Charge("pi_1", None, "declined", 1_030, "USD", 0, None, "insufficient_funds")
        await units.together(reconciling.save_observed, Observed(charge, evidence=True, payment_id=payment.id))
        assert not units.woken["poll-provider"].is_set()
        assert await jobs.until_next_poll(self.running(units)) is None
