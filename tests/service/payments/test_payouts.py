"""Payouts as they reach the database: booked once, on a day that has come."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from payments import paying_out
from payments.providers import Payout, PayoutLine
from tests.kit.postgres import drop_database, fresh_database

LINE = PayoutLine("txn_1", "other", None, 1_000, 0, 1_000, "USD", datetime(2026, 3, 1, tzinfo=UTC))


@pytest_asyncio.fixture
async def units(tmp_path: Path) -> AsyncIterator[Units]:
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=2, application="test")
    yield Units(pool, Clock("UTC", tmp_path / "clock"), Wake())
    await pool.close()
    await drop_database(database)


async def test_a_payout_that_was_paid_on_a_day_which_is_still_to_come_here_is_booked_today(
    units: Units, tmp_path: Path
) -> None:
    """The provider's days are UTC's: in the company's evening they are those of tomorrow."""
    today = units.clock.today()
    payout = Payout("po_1", "paid", 1_000, "USD", today + timedelta(days=1), units.clock.now())
    await paying_out.record(units, payout, [LINE])
    (tmp_path / "clock").write_text(str(86_400))
    await paying_out.record(units, payout, [LINE])
    assert [row[0] for row in await units.pool.fetch("SELECT effective_on FROM ledger_transactions")] == [today]
    assert await units.pool.fetchval("SELECT arrives_on FROM payouts") == today
