"""The service's look at its own tables."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from chassis import checks
from chassis.db.pool import open_pool
from invoicing.checks import CHECKS
from payments.checks import CHECKS as PAYMENTS_CHECKS
from tests.kit.postgres import drop_database, fresh_database

ISSUED = """
WITH customer AS (INSERT INTO customers VALUES (gen_random_uuid(), 'C', 'C', NULL, NULL, NULL, 1, now()) RETURNING id)
INSERT INTO invoices (id, customer_id, number, currency, state, issued_on, due_on, total, search, fingerprint, sequence,
    created_at)
SELECT gen_random_uuid(), id, 'I', 'USD', 'open', '2026-01-01', '2026-02-01', 500, '', '', 1, now() FROM customer
"""


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[asyncpg.Pool]:
    database = await fresh_database("invoicing")
    async with await open_pool(database.work_url, size=2, application="test") as pool:
        yield pool
    await drop_database(database)


def shown(what: str) -> float:
    return checks.violations.labels(what)._value.get()


class TestChecks:
    async def test_violation_is_counted_until_mended(self, pool: asyncpg.Pool) -> None:
        what = "an invoice's balance is not the sum of its entries"
        every = checks.EVERYWHERE | CHECKS
        await checks.look(pool, every, patience=0)
        assert [shown(one) for one in every] == [0] * len(every)
        await pool.execute(ISSUED)
        await checks.look(pool, every, patience=0)
        assert {one: shown(one) for one in every if shown(one)} == {what: 1}
        await pool.execute("DELETE FROM invoices")
        await checks.look(pool, every, patience=0)
        assert shown(what) == 0

    async def test_wrong_sums_by_day_are_found(self, pool: asyncpg.Pool) -> None:
        what = "what a customer owes by day is not the sum of the entries"
        await pool.execute(
            "INSERT INTO owed_by_day (customer_id, effective_on, currency, due_on, amount)"
            " VALUES (gen_random_uuid(), '2026-01-01', 'USD', '2026-02-01', 7)"
        )
        await checks.look(pool, CHECKS, patience=0)
        assert {one: shown(one) for one in CHECKS if shown(one)} == {what: 1}

    async def test_work_under_way_is_no_violation(self, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is gone at the second look."""
        what = "an invoice's balance is not the sum of its entries"
        await pool.execute(ISSUED)

        async def meanwhile(_: float) -> None:
            await pool.execute("DELETE FROM invoices")

        monkeypatch.setattr(checks.asyncio, "sleep", meanwhile)
        await checks.look(pool, {what: CHECKS[what]})
        assert shown(what) == 0

    async def test_checks_of_payments_run_with_its_rights(self) -> None:
        database = await fresh_database("payments")
        async with await open_pool(database.work_url, size=2, application="test") as pool:
            await checks.look(pool, checks.EVERYWHERE | PAYMENTS_CHECKS, patience=0)
        assert [shown(one) for one in PAYMENTS_CHECKS] == [0] * len(PAYMENTS_CHECKS)
        await drop_database(database)
