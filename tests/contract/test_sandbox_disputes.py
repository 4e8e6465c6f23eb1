"""Card disputes over the adapter on the real sandbox process: opened, won, lost, and what the balance does."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from payments.providers import ProviderRefused, RefundRequest, TakenBack
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit.provider_sandbox import Sandbox, payer, running


@pytest.fixture(scope="module")
async def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running(tmp_path_factory.mktemp("sandbox")) as found:
        yield found


@pytest.fixture
async def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    await shared_sandbox.control("reset", everything=True)
    return shared_sandbox


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[StripeAdapter]:
    adapter = sandbox.adapter()
    yield adapter
    await adapter.close()


async def only_back(stripe: StripeAdapter, charge: str) -> TakenBack:
    (back,) = (await stripe.get_charge(charge)).taken_back
    return back


async def booked(stripe: StripeAdapter) -> list[tuple[str, int, int, int]]:
    """Type, amount, fee and net of the balance transactions, newest first."""
    found = await stripe._get("/v1/balance_transactions", {})
    return [(each["type"], each["amount"], each["fee"], each["net"]) for each in found["data"]]


async def kinds(stripe: StripeAdapter, count: int) -> list[str]:
    found = await stripe._get("/v1/events", {"limit": count})
    return [event["type"] for event in found["data"]]


class TestDisputes:
    async def test_money_is_held_until_decided(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        await sandbox.control(f"payment_intents/{charge.provider_id}/dispute", reason="product_not_received")
        back = await only_back(stripe, charge.provider_id)
        assert (back.kind, back.state, back.amount_minor, back.code) == (
            "chargeback",
            "open",
            1050,
            "product_not_received",
        )
        assert (await booked(stripe))[0] == ("adjustment", -1050, 1500, -2550)
        assert await kinds(stripe, 2) == ["charge.dispute.funds_withdrawn", "charge.dispute.created"]
        with pytest.raises(ProviderRefused) as refused:
            await stripe.refund(RefundRequest("refund-1", charge.provider_id, 100, "USD"))
        assert refused.value.code == "charge_disputed"

    async def test_lost_one_takes_the_money(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        dispute = await sandbox.control(f"payment_intents/{charge.provider_id}/dispute", amount=400)
        await sandbox.control(f"disputes/{dispute['id']}/lose")
        back = await only_back(stripe, charge.provider_id)
        assert (back.kind, back.state, back.amount_minor) == ("chargeback", "succeeded", 400)
        assert await kinds(stripe, 1) == ["charge.dispute.closed"]
        assert len(await booked(stripe)) == 2

    async def test_won_one_returns_all_but_the_fee(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        dispute = await sandbox.control(f"payment_intents/{charge.provider_id}/dispute")
        await sandbox.control(f"disputes/{dispute['id']}/win")
        assert (await only_back(stripe, charge.provider_id)).state == "won"
        assert (await booked(stripe))[0] == ("adjustment", 1050, 0, 1050)
        assert await kinds(stripe, 2) == ["charge.dispute.closed", "charge.dispute.funds_reinstated"]
        await stripe.refund(RefundRequest("refund-1", charge.provider_id, 1050, "USD"))

    async def test_refunded_part_is_not_disputed(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        await stripe.refund(RefundRequest("refund-1", charge.provider_id, 400, "USD"))
        dispute = await sandbox.control(f"payment_intents/{charge.provider_id}/dispute")
        assert dispute["amount"] == 650

    async def test_card_opens_one_by_itself(self, stripe: StripeAdapter) -> None:
        charge = await (await payer(stripe, "pm_card_createDispute")).charge("attempt-1")
        assert charge.state == "succeeded"
        back = await only_back(stripe, charge.provider_id)
        assert (back.kind, back.state, back.code) == ("chargeback", "open", "fraudulent")

    @pytest.mark.parametrize("body", [{"amount": 0}, {"amount": 1051}, {"amount": "1"}, {"reason": "bored"}])
    async def test_wrong_one_is_refused(self, stripe: StripeAdapter, sandbox: Sandbox, body: dict[str, Any]) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        with pytest.raises(aiohttp.ClientResponseError):
            await sandbox.control(f"payment_intents/{charge.provider_id}/dispute", **body)

    async def test_is_opened_and_decided_once(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        dispute = await sandbox.control(f"payment_intents/{charge.provider_id}/dispute")
        with pytest.raises(aiohttp.ClientResponseError):
            await sandbox.control(f"payment_intents/{charge.provider_id}/dispute")
        await sandbox.control(f"disputes/{dispute['id']}/lose")
        with pytest.raises(aiohttp.ClientResponseError):
            await sandbox.control(f"disputes/{dispute['id']}/win")


async def test_charges_are_listed_with_their_reversals(sandbox: Sandbox, stripe: StripeAdapter) -> None:
    who = await payer(stripe)
    refunded, lost, won = [await who.charge(f"attempt-{n}") for n in range(3)]
    await stripe.refund(RefundRequest("refund-1", refunded.provider_id, 300, "USD"))
    for charge, end in ((lost, "lose"), (won, "win")):
        made = await sandbox.control(f"payment_intents/{charge.provider_id}/dispute")
        await sandbox.control(f"disputes/{made['id']}/{end}")
    gone = [(each["refunds_succeeded"], each["disputes_lost"]) for each in await sandbox.charges()]
    assert gone == [(300, 0), (0, lost.captured_minor), (0, 0)]
