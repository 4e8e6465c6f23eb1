"""Refunds over the adapter on the real sandbox process: whole, in parts, late, failing, and repeated."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from payments.providers import ProviderRefused, ProviderUnknown, RefundRequest
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit.provider_sandbox import Inbox, Sandbox, inbox, payer, running, until


@pytest.fixture(scope="module")
async def box() -> AsyncIterator[Inbox]:
    async with inbox() as found:
        yield found


@pytest.fixture(scope="module")
async def shared_sandbox(tmp_path_factory: pytest.TempPathFactory, box: Inbox) -> AsyncIterator[Sandbox]:
    async with running(tmp_path_factory.mktemp("sandbox"), box.url) as found:
        yield found


@pytest.fixture
async def sandbox(shared_sandbox: Sandbox, box: Inbox) -> Sandbox:
    """One process for all tests here, empty for each."""
    await shared_sandbox.control("reset", everything=True)
    box.taken.clear()
    return shared_sandbox


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[StripeAdapter]:
    adapter = sandbox.adapter()
    yield adapter
    await adapter.close()


def of(charge: str, amount: int, refund: str = "refund-1", currency: str = "USD") -> RefundRequest:
    return RefundRequest(refund, charge, amount, currency)


async def listed(stripe: StripeAdapter, path: str, **params: Any) -> list[dict[str, Any]]:
    found = await stripe._get(f"/v1/{path}", params)
    return list(found["data"])


class TestCardRefunds:
    async def test_card_gets_its_money_at_once(self, stripe: StripeAdapter, box: Inbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        back = await stripe.refund(of(charge.provider_id, 1050))
        assert (back.kind, back.state, back.amount_minor, back.refund_id) == ("refund", "succeeded", 1050, "refund-1")
        assert (await stripe.get_charge(charge.provider_id)).taken_back == (back,)
        (shown,) = await listed(stripe, "charges")
        assert (shown["refunded"], shown["amount_refunded"]) == (True, 1050)
        await until(lambda: len(box.taken) == 2)
        assert [event.kind for event in box.events(stripe)] == ["payment_intent.succeeded", "refund.created"]
        kinds = {event["type"] for event in await listed(stripe, "events")}
        assert {"refund.created", "charge.refunded"} <= kinds

    async def test_parts_never_exceed_the_charge(self, stripe: StripeAdapter) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        await stripe.refund(of(charge.provider_id, 400, "refund-1"))
        with pytest.raises(ProviderRefused) as refused:
            await stripe.refund(of(charge.provider_id, 651, "refund-2"))
        assert refused.value.code == "amount_too_large"
        await stripe.refund(of(charge.provider_id, 650, "refund-3"))
        with pytest.raises(ProviderRefused) as refused:
            await stripe.refund(of(charge.provider_id, 1, "refund-4"))
        assert refused.value.code == "charge_already_refunded"
        assert [each.amount_minor for each in (await stripe.get_charge(charge.provider_id)).taken_back] == [400, 650]

    async def test_amounts_are_in_the_providers_units(self, stripe: StripeAdapter) -> None:
        who = await payer(stripe)
        krona = await stripe.charge(who.request("attempt-1", 500, "ISK"))
        assert (await stripe.refund(of(krona.provider_id, 200, currency="ISK"))).amount_minor == 200
        assert [each["amount"] for each in await listed(stripe, "refunds")] == [20_000]

    async def test_balance_pays_and_fee_is_kept(self, stripe: StripeAdapter) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        await stripe.refund(of(charge.provider_id, 400))
        refund, taken = await listed(stripe, "balance_transactions")
        assert (refund["type"], refund["amount"], refund["fee"], refund["net"]) == ("refund", -400, 0, -400)
        assert (taken["type"], taken["amount"], taken["fee"], taken["net"]) == ("charge", 1050, 60, 990)
        (listed_refund,) = await listed(stripe, "refunds", payment_intent=charge.provider_id)
        assert (listed_refund["balance_transaction"], refund["source"]) == (refund["id"], listed_refund["id"])

    async def test_card_fails_its_refund(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        await sandbox.control("rules", refund_clear_seconds=0.1)
        charge = await (await payer(stripe, "pm_card_refundFail")).charge("attempt-1")
        assert (await stripe.refund(of(charge.provider_id, 1050))).state == "succeeded"

        async def failed() -> bool:
            (back,) = (await stripe.get_charge(charge.provider_id)).taken_back
            return back.state == "failed"

        await until(failed)


class TestBankRefunds:
    async def test_bank_account_gets_it_later(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe, "pm_usBankAccount_success")).charge("attempt-1")
        with pytest.raises(ProviderRefused):
            await stripe.refund(of(charge.provider_id, 1050, "refund-0"))
        await sandbox.control(f"payment_intents/{charge.provider_id}/clear")
        back = await stripe.refund(of(charge.provider_id, 1050))
        assert back.state == "processing"
        await sandbox.control(f"refunds/{back.provider_id}/succeed")
        (gone_back,) = (await stripe.get_charge(charge.provider_id)).taken_back
        assert (gone_back.state, gone_back.refund_id) == ("succeeded", "refund-1")

    async def test_rule_ends_a_pending_refund(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        await sandbox.control("rules", refund_clear_seconds=0.1)
        charge = await (await payer(stripe, "pm_card_pendingRefund")).charge("attempt-1")
        assert (await stripe.refund(of(charge.provider_id, 1050))).state == "processing"

        async def arrived() -> bool:
            (back,) = (await stripe.get_charge(charge.provider_id)).taken_back
            return back.state == "succeeded"

        await until(arrived)

    @pytest.mark.parametrize("token", ["pm_usBankAccount_success", "pm_card_visa"])
    async def test_failed_refund_returns_to_the_balance(
        self, stripe: StripeAdapter, sandbox: Sandbox, box: Inbox, token: str
    ) -> None:
        charge = await (await payer(stripe, token)).charge("attempt-1")
        if charge.state == "processing":
            await sandbox.control(f"payment_intents/{charge.provider_id}/clear")
        back = await stripe.refund(of(charge.provider_id, 1050))
        await sandbox.control(f"refunds/{back.provider_id}/fail", reason="lost_or_stolen_card")
        (gone_back,) = (await stripe.get_charge(charge.provider_id)).taken_back
        assert (gone_back.state, gone_back.code) == ("failed", "lost_or_stolen_card")
        booked = await listed(stripe, "balance_transactions")
        assert [entry["net"] for entry in booked[:2]] == [1050, -1050]
        await until(lambda: "refund.failed" in [event.kind for event in box.events(stripe)])
        again = await stripe.refund(of(charge.provider_id, 1050, "refund-2"))
        assert again.provider_id != back.provider_id

    async def test_returned_debit_cannot_be_refunded(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe, "pm_usBankAccount_success")).charge("attempt-1")
        await sandbox.control(f"payment_intents/{charge.provider_id}/clear")
        await sandbox.control(f"payment_intents/{charge.provider_id}/return")
        with pytest.raises(ProviderRefused) as refused:
            await stripe.refund(of(charge.provider_id, 1050))
        assert refused.value.code == "charge_disputed"


async def test_lost_replies_make_one_refund(stripe: StripeAdapter, sandbox: Sandbox) -> None:
    charge = await (await payer(stripe)).charge("attempt-1", 10_000)
    await sandbox.control("rules", drop_replies=0.5)

    async def refund_until_known(refund: str) -> None:
        while True:
            try:
                await stripe.refund(of(charge.provider_id, 100, refund))
                return
            except ProviderUnknown:
                continue

    await asyncio.gather(*(refund_until_known(f"refund-{n}") for n in range(40)))
    back = (await stripe.get_charge(charge.provider_id)).taken_back
    assert sorted(each.refund_id or "" for each in back) == sorted(f"refund-{n}" for n in range(40))


@pytest.mark.parametrize(
    "params", [{}, {"payment_intent": "pi_0"}, {"charge": "ch_0"}, {"payment_intent": "pi_0", "why": "x"}]
)
async def test_refund_of_nothing_is_refused(stripe: StripeAdapter, params: dict[str, str]) -> None:
    with pytest.raises(ProviderRefused):
        await stripe._post("/v1/refunds", "key-1", params)
