"""What went through the provider is compared with payments' book in one unit."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from contracts.ids import new_id
from contracts.money import Money
from paidup_local import check_money
from paidup_local.settings import load
from payments.exceptions import store as exceptions
from payments.exceptions.domain import Open
from tests.kit import paying
from tests.kit.postgres import drop_database, fresh_database

MATCHED = """
UPDATE payments SET status = 'succeeded', reconciliation = 'matched', effective_on = current_date, provider_id = 'pi_1',
    currency = $1, amount = 1000, surcharge = 0"""
GONE = """
INSERT INTO reversals (id, payment_id, customer_id, kind, state, currency, amount, surcharge, created_at, effective_on)
SELECT $1, id, customer_id, $2, 'succeeded', currency, $3, 0, now(), current_date FROM payments"""


@pytest_asyncio.fixture
async def units() -> AsyncIterator[Units]:
    database = await fresh_database("payments")
    pool = await open_pool(database.owner_url, size=2, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()
    await drop_database(database)


async def look(units: Units, monkeypatch: pytest.MonkeyPatch, home: Path, **charge: Any) -> list[str]:
    """What is wrong, of one charge at the provider."""
    wrong, _ = await looked(units, monkeypatch, home, **charge)
    return wrong


async def looked(
    units: Units, monkeypatch: pytest.MonkeyPatch, home: Path, **charge: Any
) -> tuple[list[str], list[str]]:
    ours = {"payment_id": new_id()}
    told = {
        "status": "succeeded",
        "payment_intent": "pi_1",
        "refunds_succeeded": 0,
        "disputes_lost": 0,
        "metadata": ours,
    }
    told |= charge
    monkeypatch.setattr(check_money, "_page", lambda _: {"items": [told], "next": None})
    async with units.pool.acquire() as connection:
        return await check_money._provider(load({"PAIDUP_HOME": str(home)}), connection)


class TestProvidersCharges:
    @pytest.mark.parametrize(("currency", "amount"), [("usd", 1_000), ("isk", 100_000), ("mga", 10)])
    async def test_are_compared_in_the_units_of_the_books(
        self, units: Units, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, currency: str, amount: int
    ) -> None:
        await paying.submitted(units)
        await units.pool.execute(MATCHED, currency.upper())
        assert await look(units, monkeypatch, tmp_path, currency=currency, amount=amount) == []
        (wrong,) = await look(units, monkeypatch, tmp_path, currency=currency, amount=amount + 1)
        assert "charge of pi_1" in wrong

    @pytest.mark.parametrize(("kind", "there"), [("refund", "refunds_succeeded"), ("chargeback", "disputes_lost")])
    async def test_reversed_amount_must_agree_on_both_sides(
        self, units: Units, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, there: str
    ) -> None:
        await paying.submitted(units)
        await units.pool.execute(MATCHED, "MGA")
        charge = {"currency": "mga", "amount": 10}
        (missing_here,) = await look(units, monkeypatch, tmp_path, **charge, **{there: 3})
        await units.pool.execute(GONE, new_id(), kind, 300)
        assert await look(units, monkeypatch, tmp_path, **charge, **{there: 3}) == []
        (missing_there,) = await look(units, monkeypatch, tmp_path, **charge)
        assert all("back of pi_1" in wrong for wrong in (missing_here, missing_there))

    async def test_one_with_an_exception_is_no_fault(
        self, units: Units, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        payment, _ = await paying.submitted(units)
        await units.pool.execute(MATCHED.replace("'matched'", "'mismatch'"), "USD")
        charge = {"currency": "usd", "amount": 900}
        (wrong,) = await look(units, monkeypatch, tmp_path, **charge)
        async with units.begin() as work:
            await exceptions.open_exceptions(work, [Open("wrong_amount", Money(900, "USD"), payment_id=payment.id)])
        assert await looked(units, monkeypatch, tmp_path, **charge) == ([], [wrong])

    async def test_excess_chargeback_waits_for_a_person(
        self, units: Units, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        payment, _ = await paying.submitted(units)
        await units.pool.execute(MATCHED, "USD")
        for kind, minor in (("refund", 600), ("chargeback", 400)):
            await units.pool.execute(GONE, new_id(), kind, minor)
        charge = {"currency": "usd", "amount": 1_000, "refunds_succeeded": 600, "disputes_lost": 1_000}
        (wrong,) = await look(units, monkeypatch, tmp_path, **charge)
        told = Open("wrong_amount", Money(-600, "USD"), payment_id=payment.id, provider_id="dp_1")
        async with units.begin() as work:
            await exceptions.open_exceptions(work, [told])
        assert await looked(units, monkeypatch, tmp_path, **charge) == ([], [wrong])
