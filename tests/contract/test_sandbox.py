"""The adapter on the real sandbox process: what is charged, lost, repeated, listed and refused."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from payments.providers import Charge, ProviderRefused, ProviderUnknown
from payments.providers.stripe_adapter import StripeAdapter
from sandbox.errors import ApiError
from sandbox.server import _of_this_machine, check_loopback
from sandbox.store import Answer, Store
from tests.kit.provider_sandbox import KEY, Sandbox, payer, running, until


@pytest.fixture(scope="module")
async def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sandbox]:
    async with running(tmp_path_factory.mktemp("sandbox")) as found:
        yield found


@pytest.fixture
async def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """One process for all tests here, empty for each."""
    await shared_sandbox.control("reset", everything=True)
    return shared_sandbox


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[StripeAdapter]:
    adapter = sandbox.adapter()
    yield adapter
    await adapter.close()


# methods


class TestMethods:
    @pytest.mark.parametrize(
        ("token", "kind", "funding", "brand", "last4"),
        [
            ("pm_card_visa", "card", "credit", "visa", "4242"),
            ("pm_card_visa_debit", "card", "debit", "visa", "5556"),
            ("pm_card_mastercard_prepaid", "card", "prepaid", "mastercard", "5100"),
            ("pm_usBankAccount_success", "bank_account", None, "STRIPE TEST BANK", "6789"),
        ],
    )
    async def test_token_becomes_a_method(
        self, stripe: StripeAdapter, token: str, kind: str, funding: str | None, brand: str, last4: str
    ) -> None:
        method = (await payer(stripe, token)).method
        assert method.provider_id.startswith("pm_")
        assert method.provider_id != token
        assert (method.kind, method.funding, method.brand, method.last4) == (kind, funding, brand, last4)

    async def test_same_customer_twice_is_one(self, stripe: StripeAdapter) -> None:
        assert await stripe.create_customer("c-1") == await stripe.create_customer("c-1")
        assert await stripe.create_customer("c-1") != await stripe.create_customer("c-2")

    async def test_unknown_token_is_refused(self, stripe: StripeAdapter) -> None:
        with pytest.raises(ProviderRefused) as refused:
            await payer(stripe, "pm_card_bogus")
        assert refused.value.code == "resource_missing"

    async def test_method_of_another_customer_is_refused(self, stripe: StripeAdapter) -> None:
        first, second = await payer(stripe), await payer(stripe, customer_id="customer-2")
        second.method = first.method
        with pytest.raises(ProviderRefused):
            await second.charge("attempt-1")


# cards


# idempotency


class TestIdempotency:
    async def test_same_attempt_charges_once(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who, broke = await payer(stripe), await payer(stripe, "pm_card_visa_chargeDeclined")
        assert await who.charge("attempt-1") == await who.charge("attempt-1")
        assert await broke.charge("attempt-2") == await broke.charge("attempt-2")
        assert len(await sandbox.charges()) == 2

    async def test_another_amount_under_a_key_is_unknown(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await who.charge("attempt-1", 1050)
        with pytest.raises(ProviderUnknown):
            await who.charge("attempt-1", 1051)
        assert [charge["amount"] for charge in await sandbox.charges()] == [1050]

    async def test_fifty_at_once_charge_once(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await sandbox.control("rules", reply_delay_ms=50)
        answers = await asyncio.gather(*(who.charge("attempt-1") for _ in range(50)), return_exceptions=True)
        assert len({a.provider_id for a in answers if isinstance(a, Charge)}) == 1
        assert all(isinstance(a, (Charge, ProviderUnknown)) for a in answers)
        assert len(await sandbox.charges()) == 1

    async def test_replay_and_conflict_look_like_stripes(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": "k-1"}
        async with aiohttp.ClientSession(sandbox.url, headers=headers) as http:
            async with http.post("/v1/customers", data={"name": "A"}) as first:
                made = await first.json()
                assert "Idempotent-Replayed" not in first.headers
            async with http.post("/v1/customers", data={"name": "A"}) as second:
                assert await second.json() == made
                assert second.headers["Idempotent-Replayed"] == "true"
            async with http.post("/v1/customers", data={"name": "B"}) as third:
                assert third.status == 400
                assert (await third.json())["error"]["type"] == "idempotency_error"


# lost replies, delays, darkness


class TestLostReplies:
    async def test_dropped_reply_is_found_again(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await sandbox.control("rules", drop_replies=1)
        with pytest.raises(ProviderUnknown):
            await who.charge("attempt-1")
        await sandbox.control("reset")
        found = await who.find("attempt-1")
        assert found is not None
        assert found.state == "succeeded"
        assert await who.charge("attempt-1") == found
        assert await who.find("attempt-2") is None

    async def test_third_of_replies_dropped_charges_each_once(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await sandbox.control("rules", drop_replies=0.3)

        async def charge_until_known(attempt: str) -> Charge:
            while True:
                try:
                    return await who.charge(attempt)
                except ProviderUnknown:
                    continue

        charges = await asyncio.gather(*(charge_until_known(f"attempt-{n}") for n in range(200)))
        made = await sandbox.charges()
        assert {charge["payment_intent"] for charge in made} == {charge.provider_id for charge in charges}
        assert sorted(charge["metadata"]["attempt_id"] for charge in made) == sorted(f"attempt-{n}" for n in range(200))

    async def test_search_reads_all_pages(self, stripe: StripeAdapter) -> None:
        who, other = await payer(stripe), await payer(stripe, customer_id="customer-2")
        first = await who.charge("attempt-first")
        await asyncio.gather(*(who.charge(f"attempt-{n}") for n in range(230)))
        assert await who.find("attempt-first") == first
        assert await other.find("attempt-first") is None

    async def test_late_reply_is_unknown_but_charged(self, sandbox: Sandbox) -> None:
        hasty = sandbox.adapter(timeout=0.3)
        who = await payer(hasty)
        await sandbox.control("rules", delay_ms=800)
        with pytest.raises(ProviderUnknown):
            await who.charge("attempt-1")
        assert await sandbox.charges() == []
        await until(sandbox.charges)
        await hasty.close()

    async def test_unreachable_provider_comes_back(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await sandbox.control("rules", dark_seconds=0.6)
        with pytest.raises(ProviderUnknown):
            await who.charge("attempt-1")
        await asyncio.sleep(0.7)
        assert await sandbox.charges() == []
        assert (await who.charge("attempt-1")).state == "succeeded"


class TestCharges:
    async def test_card_is_captured_at_once(self, stripe: StripeAdapter) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        assert (charge.state, charge.attempt_id, charge.reason) == ("succeeded", "attempt-1", None)
        assert (charge.amount_minor, charge.captured_minor, charge.currency) == (1050, 1050, "USD")
        assert charge.cleared_on is not None
        assert abs(charge.cleared_on - datetime.now(UTC)) < timedelta(seconds=10)
        assert await stripe.get_charge(charge.provider_id) == charge

    @pytest.mark.parametrize(
        ("token", "reason"),
        [
            ("pm_card_visa_chargeDeclined", "generic_decline"),
            ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ],
    )
    async def test_declined_card_takes_nothing(self, stripe: StripeAdapter, token: str, reason: str) -> None:
        charge = await (await payer(stripe, token)).charge("attempt-1")
        assert (charge.state, charge.reason, charge.captured_minor, charge.cleared_on) == ("declined", reason, 0, None)
        assert await stripe.get_charge(charge.provider_id) == charge

    async def test_amounts_are_in_the_providers_units(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        krona = await stripe.charge(who.request("attempt-1", 500, "ISK"))
        assert (krona.amount_minor, krona.captured_minor) == (500, 500)
        assert [charge["amount"] for charge in await sandbox.charges()] == [50_000]

    async def test_only_an_uncaptured_charge_is_cancelled(self, stripe: StripeAdapter) -> None:
        declined = await (await payer(stripe, "pm_card_visa_chargeDeclined")).charge("attempt-1")
        assert (await stripe.cancel_charge(declined.provider_id)).state == "cancelled"
        assert (await stripe.cancel_charge(declined.provider_id)).state == "cancelled"
        captured = await (await payer(stripe)).charge("attempt-2")
        assert (await stripe.cancel_charge(captured.provider_id)) == captured

    async def test_cards_decline_on_demand(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await sandbox.control("rules", decline=2)
        assert [(await who.charge(f"attempt-{n}")).state for n in range(3)] == ["declined", "declined", "succeeded"]
        await sandbox.control("rules", decline=1.0)
        assert [(await who.charge(f"again-{n}")).state for n in range(3)] == ["declined"] * 3


# bank debits


class TestBankDebits:
    async def test_fails_before_it_clears(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe, "pm_usBankAccount_success")).charge("attempt-1")
        await sandbox.control(f"payment_intents/{charge.provider_id}/fail", code="account_closed")
        failed = await stripe.get_charge(charge.provider_id)
        assert (failed.state, failed.reason, failed.captured_minor) == ("declined", "account_closed", 0)

    async def test_cannot_be_cancelled_under_way(self, stripe: StripeAdapter) -> None:
        charge = await (await payer(stripe, "pm_usBankAccount_success")).charge("attempt-1")
        assert (await stripe.cancel_charge(charge.provider_id)).state == "processing"

    @pytest.mark.parametrize("act", ["clear", "fail", "return"])
    async def test_card_is_neither_cleared_nor_returned(
        self, stripe: StripeAdapter, sandbox: Sandbox, act: str
    ) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        with pytest.raises(aiohttp.ClientResponseError):
            await sandbox.control(f"payment_intents/{charge.provider_id}/{act}")

    async def test_ends_as_its_test_id_says(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        await sandbox.control("rules", bank_clear_seconds=0.1)
        good = await (await payer(stripe, "pm_usBankAccount_success")).charge("attempt-1")
        bad = await (await payer(stripe, "pm_usBankAccount_insufficientFunds")).charge("attempt-2")
        back = await (await payer(stripe, "pm_usBankAccount_dispute")).charge("attempt-3")
        await asyncio.sleep(0.5)
        assert (await stripe.get_charge(good.provider_id)).state == "succeeded"
        assert (await stripe.get_charge(bad.provider_id)).reason == "insufficient_funds"
        assert (await stripe.get_charge(back.provider_id)).taken_back

    async def test_another_currency_is_refused(self, stripe: StripeAdapter) -> None:
        who = await payer(stripe, "pm_usBankAccount_success")
        with pytest.raises(ProviderRefused):
            await stripe.charge(who.request("attempt-1", currency="EUR"))


# events


# the edge


class TestRequests:
    @pytest.mark.parametrize(
        "rules",
        [
            {"declien": 1},
            {"delay_ms": -1},
            {"drop_replies": 1.5},
            {"webhooks": {"off": 1}},
            {"webhooks": 1},
            {"decline": "1"},
        ],
    )
    async def test_wrong_rule_is_refused(self, sandbox: Sandbox, rules: dict[str, Any]) -> None:
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            await sandbox.control("rules", **rules)
        assert refused.value.status == 400

    async def test_events_are_read_oldest_first(self, stripe: StripeAdapter) -> None:
        who = await payer(stripe)
        charges = [await who.charge(f"attempt-{n}") for n in range(7)]
        read, cursor = [], None
        while page := await stripe.events_since(cursor, 3):
            assert len(page) <= 3
            read += page
            cursor = page[-1].id
        assert [event.charge for event in read] == charges
        assert [event.charge for event in await stripe.events_since("evt_of_long_ago", 100)] == charges

    async def test_wrong_key_is_refused(self, sandbox: Sandbox) -> None:
        stranger = StripeAdapter(url=sandbox.url, key="sk_test_other", webhook_secret="")
        with pytest.raises(ProviderUnknown):
            await stranger.create_customer("customer-1")
        await stranger.close()

    @pytest.mark.parametrize(
        ("path", "form", "code"),
        [
            ("customers", {"nmae": "A"}, "parameter_unknown"),
            ("payment_intents", {}, "parameter_missing"),
            ("payment_intents", {"amount": "1.5"}, "parameter_invalid_integer"),
            ("payment_intents", {"amount": "100", "customer": "cus_0"}, "resource_missing"),
            ("payment_methods/pm_card_visa/attach", {"customer": "cus_0"}, "resource_missing"),
            ("payment_intents/pi_0/cancel", {}, "resource_missing"),
        ],
    )
    async def test_bad_requests_get_stripes_errors(
        self, sandbox: Sandbox, path: str, form: dict[str, str], code: str
    ) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession(sandbox.url, headers=headers) as http,
            http.post(f"/v1/{path}", data=form) as answer,
        ):
            assert 400 <= answer.status < 500
            assert (await answer.json())["error"]["code"] == code

    async def test_sdk_reads_every_list(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        import stripe as sdk

        who = await payer(stripe, "pm_usBankAccount_success")
        charges = [await who.charge(f"attempt-{n}") for n in range(3)]
        await sandbox.control(f"payment_intents/{charges[0].provider_id}/clear")
        await sandbox.control(f"payment_intents/{charges[0].provider_id}/return")
        http = sdk.AIOHTTPClient()
        client = sdk.StripeClient(KEY, base_addresses={"api": sandbox.url}, http_client=http)
        v1 = client.v1
        intents = [i async for i in (await v1.payment_intents.list_async({"limit": 2})).auto_paging_iter()]
        assert [intent.id for intent in intents] == [charge.provider_id for charge in reversed(charges)]
        debits = [c async for c in (await v1.charges.list_async({"limit": 1})).auto_paging_iter()]
        assert [debit.status for debit in debits] == ["pending", "pending", "succeeded"]
        assert (await v1.charges.retrieve_async(debits[2].id)).disputed
        booked = [t async for t in (await v1.balance_transactions.list_async({"limit": 1})).auto_paging_iter()]
        assert [(entry.amount, entry.net) for entry in booked] == [(-1050, -1050), (1050, 1042)]
        disputes = await v1.disputes.list_async({"payment_intent": charges[0].provider_id})
        assert (await v1.disputes.retrieve_async(disputes.data[0].id)).status == "lost"
        methods = await v1.payment_methods.list_async({"customer": who.customer, "type": "us_bank_account"})
        assert [method.id for method in methods.data] == [who.method.provider_id]
        events = [e.type async for e in (await v1.events.list_async({"limit": 4})).auto_paging_iter()]
        assert events[:2] == ["charge.dispute.closed", "charge.dispute.created"]
        await http.close_async()  # type: ignore[no-untyped-call]


class TestControl:
    @pytest.mark.parametrize("remote", ["10.0.0.7", "::ffff:192.0.2.1", None])
    def test_is_for_this_machine_alone(self, remote: str | None) -> None:
        with pytest.raises(ApiError):
            check_loopback(remote)

    async def test_health_and_metrics(self, sandbox: Sandbox) -> None:
        async with aiohttp.ClientSession(sandbox.url) as http:
            for path in ("/healthz", "/readyz", "/metrics"):
                async with http.get(path) as answer:
                    assert answer.status == 200

    @pytest.mark.parametrize(
        ("remote", "own"),
        [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.7", False),
         ("fe80::1%eth0", False), ("192.168.1.1", False), ("", False), (None, False)],
    )  # fmt: skip
    def test_metrics_are_for_this_machine(self, remote: str | None, own: bool) -> None:
        assert _of_this_machine(remote) is own


class TestFullDisk:
    async def test_waiting_requests_fail_and_later_succeed(self, tmp_path: Path) -> None:
        """SQLite undoes all changes that wait for the commit. A request that waits for ever would keep its key."""
        store = Store(tmp_path)
        try:
            with store.change():
                store.keep_answer("first", Answer(b"", 200, b"small"))
            waiting = asyncio.create_task(store.committed())
            await asyncio.sleep(0)
            pages = store._db.execute("PRAGMA page_count").fetchone()[0]
            store._db.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(sqlite3.OperationalError, match="full"), store.change():
                store.keep_answer("large", Answer(b"", 200, b"0" * 500_000))
            with pytest.raises(sqlite3.OperationalError, match="full"):
                await asyncio.wait_for(waiting, 1)
            store._db.execute("PRAGMA max_page_count = 100000")
            with store.change():
                store.keep_answer("second", Answer(b"", 200, b"small"))
            await asyncio.wait_for(store.committed(), 1)
            assert store.answer("first") is None
            assert store.answer("second") is not None
        finally:
            store.close()
