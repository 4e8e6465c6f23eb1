"""A method for one payment pays once, however many confirm at the same time."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime

import asyncpg
import pytest

from chassis.http.idempotency import Key
from chassis.messaging.work import Cause, Units, Wake
from chassis.running import Running
from contracts.ids import new_id
from payments.collecting.api.payments import save_once
from payments.collecting.domain.payments import Step, cancel, submit
from payments.collecting.domain.quotes import Quote
from payments.collecting.store.payments import save_steps
from payments.collecting.store.quotes import add_quotes, load_confirming
from payments.methods.domain.methods import unusable
from tests.kit import paying

DAY = date(2026, 3, 1)


async def two_quotes(units: Units, *, saved: bool) -> list[Quote]:
    """Of one method, by which nothing was paid so far."""
    payment, quote = await paying.submitted(units, saved=saved)
    async with units.begin() as work:
        await save_steps(work, [cancel(payment, "invoice_changed")])
        quotes = [replace(quote, id=new_id(), payment_id=None) for _ in range(2)]
        await add_quotes(quotes, work)
    return quotes


async def confirm(units: Units, quote: Quote) -> bool:
    running = Running(None, units.clock, units.pool, units, None)
    step = submit(quote, "card", True, expected_by=DAY, now=datetime.now(UTC))
    assert isinstance(step, Step)
    return await save_once(running, step, Key(quote.customer_id, paying.ROUTE, new_id(), b"print"), Cause()) is not None


async def test_saved_method_pays_as_often_as_confirmed(units: Units) -> None:
    quotes = await two_quotes(units, saved=True)
    assert await asyncio.gather(*(confirm(units, quote) for quote in quotes)) == [True, True]


class TestMethodForOnePayment:
    @pytest.mark.parametrize("processes", [1, 2])
    async def test_two_quotes_at_once_pay_once(self, units: Units, processes: int) -> None:
        quotes = await two_quotes(units, saved=False)
        others = units if processes == 1 else Units(units.pool, units.clock, Wake())
        assert sorted(await asyncio.gather(confirm(units, quotes[0]), confirm(others, quotes[1]))) == [False, True]
        assert await units.pool.fetchval("SELECT count(*) FROM payments WHERE status = 'submitted'") == 1
        for quote in quotes:
            found = await load_confirming(units.pool, quote.id, None, paying.ROUTE, "other")
            assert found is not None
            against = unusable(found.method, DAY)
            assert against is not None
            assert (against.code, against.conflict) == ("method-used", True)

    async def test_pays_again_after_a_payment_without_money(self, units: Units) -> None:
        first, second = await two_quotes(units, saved=False)
        assert await confirm(units, first)
        with pytest.raises(asyncpg.UniqueViolationError):
            await units.pool.execute("UPDATE payments SET once_method_id = $1, status = 'submitted'", first.method_id)
        await units.pool.execute("UPDATE payments SET status = 'declined', reconciliation = NULL")
        assert await confirm(units, second)
