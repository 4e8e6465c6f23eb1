"""The sandbox's webhooks, and what it keeps when it is killed: each test has a process of its own."""

import asyncio
import pathlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from payments.providers import Charge, ProviderUnknown
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit.provider_sandbox import Inbox, Sandbox, inbox, payer, running, until


@pytest.fixture
async def box() -> AsyncIterator[Inbox]:
    async with inbox() as found:
        yield found


@pytest.fixture
async def sandbox(tmp_path: pathlib.Path, box: Inbox) -> AsyncIterator[Sandbox]:
    async with running(tmp_path, box.url, tmp_path / "clock") as found:
        yield found


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[StripeAdapter]:
    adapter = sandbox.adapter()
    yield adapter
    await adapter.close()


class TestBankDebits:
    async def test_is_processing_until_it_clears(
        self, stripe: StripeAdapter, sandbox: Sandbox, box: Inbox, tmp_path: pathlib.Path
    ) -> None:
        charge = await (await payer(stripe, "pm_usBankAccount_success")).charge("attempt-1")
        assert (charge.state, charge.captured_minor, charge.cleared_on) == ("processing", 0, None)
        (tmp_path / "clock").write_text("345600")
        await sandbox.control(f"payment_intents/{charge.provider_id}/clear")
        cleared = await stripe.get_charge(charge.provider_id)
        assert (cleared.state, cleared.captured_minor) == ("succeeded", 1050)
        assert cleared.cleared_on is not None
        assert cleared.cleared_on - datetime.now(UTC) > timedelta(days=3, hours=23)
        await until(lambda: len(box.taken) == 2)
        del box.taken[0]
        sent = box.events(stripe, datetime.now(UTC) + timedelta(days=4))
        assert [event.charge for event in sent] == [cleared]

    async def test_cleared_one_is_returned(self, stripe: StripeAdapter, sandbox: Sandbox, box: Inbox) -> None:
        charge = await (await payer(stripe, "pm_usBankAccount_success")).charge("attempt-1")
        await sandbox.control(f"payment_intents/{charge.provider_id}/clear")
        await sandbox.control(f"payment_intents/{charge.provider_id}/return", code="R01")
        record = await stripe.get_charge(charge.provider_id)
        assert record.state == "succeeded"
        (back,) = record.taken_back
        assert (back.kind, back.state, back.code, back.amount_minor) == ("return", "succeeded", "R01", 1050)
        await until(lambda: len(box.taken) == 4)
        sent = [e.charge for e in box.events(stripe) if e.kind.startswith("charge.dispute")]
        assert [each.provider_id for each in sent if each] == [charge.provider_id] * 2


class TestWebhooks:
    async def test_body_equals_the_record(self, stripe: StripeAdapter, box: Inbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        await until(lambda: box.taken)
        assert [event.charge for event in box.events(stripe)] == [charge]

    async def test_are_sent_until_accepted(self, stripe: StripeAdapter, box: Inbox) -> None:
        box.refuse = 3
        await (await payer(stripe)).charge("attempt-1")
        await until(lambda: box.taken)
        assert box.calls == 4

    async def test_come_late_doubled_and_out_of_order(
        self, stripe: StripeAdapter, sandbox: Sandbox, box: Inbox
    ) -> None:
        await sandbox.control("rules", webhooks={"delay_ms": 300, "duplicate": 3, "shuffle": True})
        who = await payer(stripe)
        charges = [await who.charge(f"attempt-{n}") for n in range(10)]
        assert box.taken == []
        await until(lambda: len(box.taken) == 30)
        sent = [event.charge for event in box.events(stripe)]
        assert all(sent.count(charge) == 3 for charge in charges)
        assert [charge for charge in sent if charge in charges] != [charge for charge in charges for _ in range(3)]

    async def test_can_be_off(self, stripe: StripeAdapter, sandbox: Sandbox, box: Inbox) -> None:
        await sandbox.control("rules", webhooks={"off": True})
        await (await payer(stripe)).charge("attempt-1")
        await asyncio.sleep(0.3)
        assert box.calls == 0
        assert len(await stripe.events_since(None, 100)) == 1


class TestKilled:
    async def test_answered_charges_survive(self, stripe: StripeAdapter, sandbox: Sandbox, box: Inbox) -> None:
        who = await payer(stripe)
        box.refuse = 1_000_000
        answered: dict[str, Charge] = {}

        async def charge_on(client: int) -> None:
            for n in range(1000):
                try:
                    answered[f"attempt-{client}-{n}"] = await who.charge(f"attempt-{client}-{n}")
                except ProviderUnknown:
                    return

        under_way = [asyncio.create_task(charge_on(client)) for client in range(8)]
        await until(lambda: len(answered) > 200)
        sandbox.kill()
        await asyncio.gather(*under_way)
        await sandbox.start()
        made = {charge["metadata"]["attempt_id"]: charge for charge in await sandbox.charges()}
        assert set(answered) <= set(made)
        for attempt, charge in list(answered.items())[::20]:
            assert await who.charge(attempt) == charge
        assert len(await sandbox.charges()) == len(made)
        box.refuse = 0
        await until(lambda: len({body for body, _ in box.taken}) >= len(made), seconds=30)

    async def test_debits_and_rules_survive(self, stripe: StripeAdapter, sandbox: Sandbox, box: Inbox) -> None:
        await sandbox.control("rules", bank_clear_seconds=0.5, drop_replies=0.25)
        who = await payer(stripe, "pm_usBankAccount_success")
        while (found := await who.find("attempt-1")) is None:
            with_reply = asyncio.create_task(who.charge("attempt-1"))
            await asyncio.wait([with_reply])
            with_reply.exception()
        sandbox.kill()
        await sandbox.start()
        assert (await sandbox.control("rules"))["drop_replies"] == 0.25
        await asyncio.sleep(0.8)
        assert (await stripe.get_charge(found.provider_id)).state == "succeeded"


async def test_stops_cleanly_on_request(sandbox: Sandbox, box: Inbox) -> None:
    assert sandbox.stop() == 0
