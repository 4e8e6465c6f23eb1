"""What the provider tells, as it reaches the database."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from payments import reconciling
from payments.providers import Charge, Provider, ProviderEvent, ProviderRefused
from tests.kit.postgres import drop_database, fresh_database

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class NoRecord:
    """A provider that has no such charge."""

    async def get_charge(self, _: str) -> Charge:
        raise ProviderRefused("No such payment_intent", "resource_missing")


@pytest_asyncio.fixture
async def units() -> AsyncIterator[Units]:
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=2, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()
    await drop_database(database)


@pytest.mark.parametrize("attempt", ["order-7", None, "01890a5d-ac96-774b-bcce-b302099a8057"])
async def test_an_event_about_anothers_charge_is_noted_and_changes_nothing(units: Units, attempt: str | None) -> None:
    charge = Charge("pi_other", attempt, "succeeded", 100, "USD", 100, NOW, None)
    event = ProviderEvent("evt_1", "payment_intent.succeeded", NOW, charge)
    await reconciling.take_event(units, cast(Provider, NoRecord()), event)
    assert await units.pool.fetchval("SELECT id FROM provider_events") == "evt_1"
    assert await units.pool.fetchval("SELECT count(*) FROM outbox") == 0
