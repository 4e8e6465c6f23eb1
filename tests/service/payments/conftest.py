"""What tests of payments on a real database share."""

from collections.abc import AsyncIterator

import pytest_asyncio

import payments.handlers  # noqa: F401 - joins what collecting announces to who hears it
from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from tests.kit.postgres import drop_database, fresh_database


@pytest_asyncio.fixture
async def units() -> AsyncIterator[Units]:
    """Units of work on a database of the test's own, with the rights of the consumers' role."""
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=6, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()
    await drop_database(database)
