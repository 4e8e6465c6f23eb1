"""What the provider tells, as it reaches the database."""

from datetime import UTC, datetime
from typing import cast

import pytest

from chassis.messaging.work import Units
from payments.collecting import reconciling
from payments.providers import Charge, Provider, ProviderEvent, ProviderRefused

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
