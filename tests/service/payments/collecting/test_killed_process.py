"""A process of payments is killed around its call to the provider: the next one makes it good, with one charge."""

import asyncio
import os
import pathlib
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.work import Units, Wake
from payments.collecting import jobs
from payments.collecting.domain.payments import Payment, give_up, reserve
from payments.collecting.store.attempts import claim_attempts
from payments.collecting.store.payments import keep_given_up, load_payment, lock_payment, save_steps
from tests.kit import kafka, keeper, paying, provider_sandbox
from tests.kit.postgres import Database, drop_database, fresh_database

DIES = {"PYTHONPATH": str(keeper.ROOT / "tests/faults/inside")}


@dataclass
class World:
    """A payment whose invoices are reserved, its provider, and the processes of payments that come by."""

    database: Database
    sandbox: provider_sandbox.Sandbox
    units: Units
    payment_id: str
    orders: pathlib.Path
    environment: dict[str, str]

    async def killed(self, point: str) -> None:
        """A process comes and kills itself at this point."""
        (self.orders / "payments").write_text(f"1 {point}")
        async with self._process() as process:
            assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
        assert (self.orders / "payments.died").read_text() == f"{point}\n"

    async def reconciled(self) -> None:
        """A process comes and lives on until the payment is reconciled."""
        async with self._process():
            await provider_sandbox.until(self._matched, seconds=60)

    async def ended(self) -> asyncpg.Record:
        """A process comes and lives on until the payment has ended without money."""
        async with self._process():
            await provider_sandbox.until(self._cancelled, seconds=60)
        sql = "SELECT status, reason, reconciliation, act_by FROM payments WHERE id = $1"
        return await self.units.pool.fetchrow(sql, self.payment_id)

    async def _cancelled(self) -> bool:
        payment = await load_payment(self.units.pool, self.payment_id, None)
        return payment is not None and payment.status == "cancelled"

    async def attempt(self) -> asyncpg.Record:
        return await self.units.pool.fetchrow(
            "SELECT state, calls, call_after - now() AS lease FROM attempts WHERE payment_id = $1", self.payment_id
        )

    async def lease_ends(self) -> None:
        await self.units.pool.execute("UPDATE attempts SET call_after = now()")

    async def _matched(self) -> bool:
        payment = await load_payment(self.units.pool, self.payment_id, None)
        assert payment is not None
        return (payment.status, payment.reconciliation) == ("succeeded", "matched")

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        words = (sys.executable, "-P", "-m", "payments", "work")
        process = await asyncio.create_subprocess_exec(*words, env=self.environment, stdout=asyncio.subprocess.DEVNULL)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@pytest_asyncio.fixture
async def world(tmp_path: pathlib.Path) -> AsyncIterator[World]:
    database = await fresh_database("payments")
    pool = await open_pool(database.work_url, size=2, application="test")
    units = Units(pool, Clock("UTC"), Wake())
    async with pool, provider_sandbox.running(tmp_path) as sandbox:
        stripe = sandbox.adapter()
        payer = await provider_sandbox.payer(stripe)
        await stripe.close()
        environment = {
            **os.environ, **DIES, **database.environment("payments"), "FAULTS_ORDERS": str(tmp_path),
            "PAIDUP_KAFKA": await kafka.create_contract_topics(), "PAYMENTS_PORT": str(provider_sandbox.free_port()),
            "PAYMENTS_PROVIDER_URL": sandbox.url, "PAYMENTS_PROVIDER_KEY": provider_sandbox.KEY,
        }  # fmt: skip
        yield World(database, sandbox, units, await _reserved(units, payer), tmp_path, environment)
    await drop_database(database)


async def _reserved(units: Units, payer: provider_sandbox.Payer, return_url: str | None = None) -> str:
    payment, _ = await paying.submitted(units, payer.method.provider_id)
    async with units.begin() as work:
        step, attempt = reserve(
            replace(payment, return_url=return_url), payer.method.provider_id, payer.customer, work.now
        )
        await save_steps(work, [step], attempts=[attempt])
    return payment.id


async def let_go_of(world: World) -> str:
    """A payment that waited for its payer, who gave it up; nobody was there to tell the provider."""
    stripe = world.sandbox.adapter()
    payer = await provider_sandbox.payer(stripe, "pm_card_authenticationRequired", "customer-2")
    payment_id = await _reserved(world.units, payer, "https://portal.example/paid")
    for attempt in await claim_attempts(world.units.pool, 10):
        await jobs._call(world.units, stripe, attempt)
    await stripe.close()
    async with world.units.begin() as work:
        waiting = await lock_payment(work, payment_id)
        assert waiting is not None
        assert waiting.status == "requires_action"
        given_up = give_up(waiting, "user:u", work.now)
        assert isinstance(given_up, Payment)
        await keep_given_up(work, given_up)
    return payment_id


class TestKilledProcess:
    async def test_next_process_makes_the_call(self, world: World) -> None:
        await world.killed("before provider charge")
        attempt = await world.attempt()
        assert (attempt["state"], attempt["calls"]) == ("begun", 1)
        assert timedelta(seconds=5) < attempt["lease"] <= timedelta(seconds=15)
        assert await world.sandbox.charges() == []
        await world.lease_ends()
        await world.reconciled()
        await charged_once(world)

    @pytest.mark.parametrize(
        "point", ["after provider charge", "before commit payments.collecting.reconciling.save_observed"]
    )
    async def test_lost_reply_is_not_charged_again(self, world: World, point: str) -> None:
        await world.killed(point)
        assert (await world.attempt())["state"] == "begun"
        assert len(await world.sandbox.charges()) == 1
        await world.lease_ends()
        await world.reconciled()
        await charged_once(world)

    @pytest.mark.parametrize("point", ["before provider cancel_charge", "after provider cancel_charge"])
    async def test_given_up_payment_is_cancelled_all_the_same(self, world: World, point: str) -> None:
        world.payment_id = await let_go_of(world)
        await world.killed(point)
        ended = await world.ended()
        assert tuple(ended) == ("cancelled", "payer_cancelled", None, None)
        told = await world.units.pool.fetch(
            "SELECT type FROM history WHERE aggregate = $1 ORDER BY sequence", world.payment_id
        )
        assert [row["type"] for row in told] == ["PaymentSubmitted", "PaymentActionRequired", "PaymentCancelled"]


async def charged_once(world: World) -> None:
    charges: list[dict[str, Any]] = await world.sandbox.charges()
    assert [charge["amount"] for charge in charges] == [1_030]
    assert await world.units.pool.fetchval("SELECT count(*) FROM ledger_transactions") == 1
    assert (await world.attempt())["state"] == "answered"
