"""The sandbox's hosted page, micro-deposits and 3-D Secure on the real process, as seen without scripts."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from payments.providers import ChargeRequest, MethodKind, ProviderRefused, SetupOutcome, SetupPage
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit.provider_sandbox import Sandbox, payer, running

SUCCESS, CANCEL = "http://portal.test/done?session={CHECKOUT_SESSION_ID}", "http://portal.test/methods"
FORM = {
    "kind": "card", "card": "4242424242424242", "number": "", "expires": "12/34", "name": "Ann Payer",
    "line1": "1 Main St", "city": "Albany", "state": "ny", "postal_code": "12207", "country": "US", "agree": "yes",
}  # fmt: skip
BANK = {**FORM, "kind": "us_bank_account", "account": "000123456789", "routing_number": "110000000"}


@pytest.fixture(scope="module")
async def clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clock")


@pytest.fixture(scope="module")
async def shared_sandbox(tmp_path_factory: pytest.TempPathFactory, clock: Path) -> AsyncIterator[Sandbox]:
    async with running(tmp_path_factory.mktemp("sandbox"), clock_file=clock / "offset") as found:
        yield found


@pytest.fixture
async def sandbox(shared_sandbox: Sandbox, clock: Path) -> Sandbox:
    (clock / "offset").write_text("0")
    await shared_sandbox.control("reset", everything=True)
    return shared_sandbox


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[StripeAdapter]:
    adapter = sandbox.adapter()
    yield adapter
    await adapter.close()


class Browser:
    """Follows no redirect by itself."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def get(self, url: str) -> tuple[int, str]:
        async with self._http.get(url, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()

    async def post(self, url: str, form: dict[str, str]) -> tuple[int, str]:
        async with self._http.post(url, data=form, allow_redirects=False) as answer:
            return answer.status, answer.headers.get("Location") or await answer.text()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as http:
        yield Browser(http)


async def open_session(stripe: StripeAdapter, *kinds: str) -> dict[str, Any]:
    customer = await stripe.create_customer("customer-1")
    params = {
        "mode": "setup",
        "customer": customer,
        "payment_method_types": list(kinds) or ["card", "us_bank_account"],
        "success_url": SUCCESS,
        "cancel_url": CANCEL,
        "metadata": {"setup_id": "setup-1"},
    }
    return await stripe._post("/v1/checkout/sessions", "session-1", params)


async def whole(stripe: StripeAdapter, session: str) -> dict[str, Any]:
    return await stripe._get(f"/v1/checkout/sessions/{session}", {"expand": ["setup_intent.payment_method"]})


async def kinds_of_events(stripe: StripeAdapter) -> list[str]:
    return [event["type"] for event in (await stripe._get("/v1/events", {"limit": 100}))["data"]]


class TestCardPage:
    async def test_needs_no_script_and_labels_its_fields(self, stripe: StripeAdapter, browser: Browser) -> None:
        status, html = await browser.get((await open_session(stripe))["url"])
        assert status == 200
        assert "no real money" in html
        assert "<script" not in html
        assert CANCEL in html
        fields = set(re.findall(r'<(?:input|select)[^>]* id="([\w-]+)"', html)) - {"agree"}
        labelled = set(re.findall(r'<label for="([\w-]+)"', html)) | {
            each for each in fields if each.startswith(("kind-", "verify-"))
        }
        assert fields == labelled

    async def test_all_but_the_consent_is_filled_in(self, stripe: StripeAdapter, browser: Browser) -> None:
        session = await open_session(stripe)
        _, html = await browser.get(session["url"])
        filled = dict(re.findall(r'<input[^>]* name="(\w+)" value="([^"]*)"(?! id)', html))
        chosen = re.findall(r'<select[^>]* name="(\w+)">.*?<option value="([^"]*)" selected', html)
        assert (await browser.post(session["url"], {**filled, **dict(chosen), "kind": "card"}))[0] == 422
        assert (await browser.post(session["url"], {**filled, **dict(chosen), "kind": "card", "agree": "yes"}))[
            0
        ] == 303

    async def test_card_is_saved_with_billing_address(self, stripe: StripeAdapter, browser: Browser) -> None:
        session = await open_session(stripe)
        status, to = await browser.post(session["url"], {**FORM, "number": "4000 0566 5566 5556"})
        assert (status, to) == (303, SUCCESS.replace("{CHECKOUT_SESSION_ID}", session["id"]))
        found = await whole(stripe, session["id"])
        method = found["setup_intent"]["payment_method"]
        assert (found["status"], found["setup_intent"]["status"], found["url"]) == ("complete", "succeeded", None)
        assert (method["card"]["funding"], method["card"]["last4"], method["customer"]) == (
            "debit",
            "5556",
            found["customer"],
        )
        address = method["billing_details"]["address"]
        assert (address["country"], address["state"], address["postal_code"]) == ("US", "NY", "12207")
        assert method["billing_details"]["name"] == "Ann Payer"
        wanted = {"checkout.session.completed", "setup_intent.succeeded", "payment_method.attached"}
        assert wanted <= set(await kinds_of_events(stripe))
        assert await browser.get(session["url"]) == (303, to)

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"number": "4111111111111111"}, "test cards alone"),
            ({"expires": "1/20"}, "has expired"),
            ({"expires": "13/34"}, "month and year"),
            ({"name": " "}, "Enter the name"),
            ({"postal_code": ""}, "postal code"),
            ({"state": "New York"}, "two or three letters"),
            ({"country": "<b>"}, "Choose a country"),
            ({"agree": ""}, "Agree to the terms"),
            ({"kind": "sepa_debit"}, "Choose one of the ways"),
            ({"name": "x" * 201}, "At most 200"),
        ],
    )
    async def test_fault_stands_beside_its_field(
        self, stripe: StripeAdapter, browser: Browser, changed: dict[str, str], says: str
    ) -> None:
        session = await open_session(stripe)
        status, html = await browser.post(session["url"], {**FORM, **changed})
        assert (status, says in html) == (422, True)
        assert "4111" not in html
        assert "<b>" not in html
        assert (await whole(stripe, session["id"]))["status"] == "open"

    @pytest.mark.parametrize("changed", [{"routing_number": "021000021"}, {"account_number": "123"}])
    async def test_real_bank_account_is_refused(
        self, stripe: StripeAdapter, browser: Browser, changed: dict[str, str]
    ) -> None:
        session = await open_session(stripe, "us_bank_account")
        assert (await browser.post(session["url"], {**BANK, **changed}))[0] == 422

    async def test_state_is_optional_where_there_are_none(self, stripe: StripeAdapter, browser: Browser) -> None:
        session = await open_session(stripe, "card")
        assert (await browser.post(session["url"], {**FORM, "country": "DE", "state": ""}))[0] == 303

    async def test_saved_card_can_be_declined_later(self, stripe: StripeAdapter, browser: Browser) -> None:
        session = await open_session(stripe)
        await browser.post(session["url"], {**FORM, "number": "4000000000000341"})
        found = await whole(stripe, session["id"])
        assert found["setup_intent"]["payment_method"]["card"]["last4"] == "0341"


class TestSession:
    async def test_expires_after_a_business_day(self, stripe: StripeAdapter, browser: Browser, clock: Path) -> None:
        session = await open_session(stripe)
        (clock / "offset").write_text("86500")
        assert (await browser.get(session["url"]))[0] == 410
        assert (await browser.post(session["url"], FORM))[0] == 410
        assert (await whole(stripe, session["id"]))["status"] == "expired"

    async def test_call_ends_it(self, stripe: StripeAdapter, browser: Browser) -> None:
        session = await open_session(stripe)
        await stripe._post(f"/v1/checkout/sessions/{session['id']}/expire", "expire-1", {})
        assert (await browser.get(session["url"]))[0] == 410
        with pytest.raises(ProviderRefused):
            await stripe._post(f"/v1/checkout/sessions/{session['id']}/expire", "expire-2", {})


# micro-deposits


async def verifying(stripe: StripeAdapter, browser: Browser) -> dict[str, Any]:
    session = await open_session(stripe)
    assert (await browser.post(session["url"], {**BANK, "verify": "deposits"}))[0] == 303
    found = await whole(stripe, session["id"])
    return dict(found["setup_intent"])


# through the adapter


async def begin(stripe: StripeAdapter, *kinds: MethodKind) -> SetupPage:
    customer = await stripe.create_customer("customer-1")
    return await stripe.begin_setup(customer, kinds, "http://portal.test/methods", "setup-1")


class TestSetup:
    async def test_is_open_until_the_page_is_sent(self, stripe: StripeAdapter, browser: Browser) -> None:
        page = await begin(stripe, "card", "bank_account")
        assert await begin(stripe, "card", "bank_account") == page
        assert await stripe.setup_outcome(page.id) == SetupOutcome("open")
        await browser.post(page.url, FORM)
        outcome = await stripe.setup_outcome(page.id)
        assert outcome.state == "succeeded"
        assert outcome.method is not None
        assert (outcome.method.kind, outcome.method.funding, outcome.method.expires) == ("card", "credit", (2034, 12))
        assert (outcome.method.country, outcome.method.state, outcome.method.postal_code) == ("US", "NY", "12207")
        found = [(event.kind, event.setup_id) for event in await stripe.events_since(None, 10)]
        assert found == [("setup_intent.succeeded", "setup-1"), ("checkout.session.completed", "setup-1")]
        request = ChargeRequest(
            "attempt-1",
            "payment-1",
            await stripe.create_customer("customer-1"),
            outcome.method.provider_id,
            1050,
            "USD",
        )
        assert (await stripe.charge(request)).state == "succeeded"

    async def test_expires(self, stripe: StripeAdapter, clock: Path) -> None:
        page = await begin(stripe, "card")
        (clock / "offset").write_text("86500")
        assert (await stripe.setup_outcome(page.id)).state == "expired"


class TestDeposits:
    async def test_account_verified_at_once_is_saved(self, stripe: StripeAdapter, browser: Browser) -> None:
        session = await open_session(stripe)
        assert (await browser.post(session["url"], {**BANK, "verify": "instant"}))[0] == 303
        setup = (await whole(stripe, session["id"]))["setup_intent"]
        assert (setup["status"], setup["payment_method"]["us_bank_account"]["last4"]) == ("succeeded", "6789")

    async def test_account_waits_for_its_deposits(self, stripe: StripeAdapter, browser: Browser) -> None:
        setup = await verifying(stripe, browser)
        assert (setup["status"], setup["next_action"]["type"]) == ("requires_action", "verify_with_microdeposits")
        assert setup["payment_method"]["customer"] is None
        path = f"/v1/setup_intents/{setup['id']}/verify_microdeposits"
        with pytest.raises(ProviderRefused) as refused:
            await stripe._post(path, "verify-1", {"amounts": [32, 46]})
        assert refused.value.code == "payment_method_microdeposit_verification_amounts_mismatch"
        verified = await stripe._post(path, "verify-2", {"amounts": [45, 32], "expand": ["payment_method"]})
        assert verified["status"] == "succeeded"
        assert verified["payment_method"]["customer"] == setup["customer"]
        with pytest.raises(ProviderRefused):
            await stripe._post(path, "verify-3", {"amounts": [32, 45]})

    async def test_code_of_a_deposit_verifies(self, stripe: StripeAdapter, browser: Browser) -> None:
        setup = await verifying(stripe, browser)
        path = f"/v1/setup_intents/{setup['id']}/verify_microdeposits"
        with pytest.raises(ProviderRefused):
            await stripe._post(path, "verify-1", {"descriptor_code": "SM1234"})
        assert (await stripe._post(path, "verify-2", {"descriptor_code": "SM11AA"}))["status"] == "succeeded"

    async def test_ten_wrong_answers_end_it(self, stripe: StripeAdapter, browser: Browser) -> None:
        setup = await verifying(stripe, browser)
        path = f"/v1/setup_intents/{setup['id']}/verify_microdeposits"
        codes = []
        for n in range(11):
            with pytest.raises(ProviderRefused) as refused:
                await stripe._post(path, f"verify-{n}", {"amounts": [1, 2]})
            codes.append(refused.value.code)
        assert codes[9:] == [
            "payment_method_microdeposit_verification_attempts_exceeded", "setup_intent_unexpected_state",
        ]  # fmt: skip
        ended = await stripe._get(f"/v1/setup_intents/{setup['id']}", {})
        assert (ended["status"], ended["last_setup_error"]["code"]) == ("requires_payment_method", codes[9])
        assert "setup_intent.setup_failed" in await kinds_of_events(stripe)

    async def test_are_confirmed_on_a_page(self, stripe: StripeAdapter, browser: Browser) -> None:
        setup = await verifying(stripe, browser)
        url = setup["next_action"]["verify_with_microdeposits"]["hosted_verification_url"]
        assert (await browser.get(url))[0] == 200
        assert (await browser.post(url, {"first": "1", "second": "x"}))[0] == 422
        assert (await browser.post(url, {"first": "32", "second": "45"}))[0] == 200
        assert (await browser.get(url))[0] == 409

    async def test_wrong_answers_may_be_corrected(self, stripe: StripeAdapter, browser: Browser) -> None:
        page = await begin(stripe, "bank_account")
        await browser.post(page.url, {**BANK, "verify": "deposits"})
        outcome = await stripe.setup_outcome(page.id)
        assert outcome.state == "verifying"
        assert outcome.method is not None
        assert outcome.deposits_at is not None
        with pytest.raises(ProviderRefused) as refused:
            await stripe.verify_deposits(page.id, amounts_minor=(1, 2))
        assert refused.value.code == "deposits_wrong"
        assert (await stripe.setup_outcome(page.id)).state == "verifying"
        assert (await stripe.verify_deposits(page.id, amounts_minor=(32, 45))).state == "succeeded"

    async def test_same_guess_counts_once(self, stripe: StripeAdapter, browser: Browser) -> None:
        page = await begin(stripe, "bank_account")
        await browser.post(page.url, {**BANK, "verify": "deposits"})
        codes = []
        for guess in (*[1] * 5, *range(2, 11)):
            with pytest.raises(ProviderRefused) as refused:
                await stripe.verify_deposits(page.id, amounts_minor=(guess, 1))
            codes.append(refused.value.code)
        assert codes == ["deposits_wrong"] * 13 + ["deposits_exhausted"]
        assert (await stripe.setup_outcome(page.id)).state == "failed"


# methods


class TestDetaching:
    async def test_twice_or_nothing_is_no_error(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await stripe.detach_method(who.method.provider_id)
        await stripe.detach_method(who.method.provider_id)
        other = (await payer(stripe, "pm_card_mastercard")).method.provider_id
        await stripe._post(f"/v1/payment_methods/{other}/detach", "by-somebody-else", {})
        await stripe.detach_method(other)
        await stripe.detach_method("pm_0")

    async def test_detached_method_pays_no_more(self, stripe: StripeAdapter) -> None:
        who = await payer(stripe)
        charge = await who.charge("attempt-1")
        path = f"/v1/payment_methods/{who.method.provider_id}"
        assert (await stripe._post(f"{path}/detach", "detach-1", {}))["customer"] is None
        with pytest.raises(ProviderRefused):
            await who.charge("attempt-2")
        with pytest.raises(ProviderRefused):
            await stripe._post(f"{path}/detach", "detach-2", {})
        with pytest.raises(ProviderRefused):
            await stripe._post(f"{path}/attach", "attach-2", {"customer": who.customer})
        assert (await stripe.get_charge(charge.provider_id)).state == "succeeded"

    async def test_expired_card_is_declined(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await sandbox.control(f"payment_methods/{who.method.provider_id}/expire")
        charge = await who.charge("attempt-1")
        assert (charge.state, charge.reason) == ("declined", "expired_card")


# 3-D Secure


async def on_session(stripe: StripeAdapter, token: str = "pm_card_threeDSecure2Required") -> dict[str, Any]:
    who = await payer(stripe, token)
    params = {
        "amount": 1050,
        "currency": "usd",
        "customer": who.customer,
        "payment_method": who.method.provider_id,
        "confirm": True,
        "return_url": "http://portal.test/paid?payment=1",
    }
    return await stripe._post("/v1/payment_intents", "intent-1", params)


class TestConfirming:
    @pytest.mark.parametrize("fail", [False, True])
    async def test_payer_who_is_present_is_asked(self, stripe: StripeAdapter, sandbox: Sandbox, fail: bool) -> None:
        who = await payer(stripe, "pm_card_authenticationRequired")
        there = replace(who.request("attempt-1"), on_session=True, return_url="http://portal.test/paid")
        asked = await stripe.charge(there)
        assert (asked.state, asked.captured_minor) == ("requires_action", 0)
        assert (asked.next_action_url or "").startswith(f"{sandbox.url}/authenticate/pi_")
        assert await who.find("attempt-1") == asked
        await sandbox.control(f"payment_intents/{asked.provider_id}/authenticate", fail=fail)
        ended = await stripe.get_charge(asked.provider_id)
        reason = "payment_intent_authentication_failure" if fail else None
        assert (ended.state, ended.reason, ended.next_action_url) == ("declined" if fail else "succeeded", reason, None)
        first, second = await stripe.events_since(None, 10)
        assert (first.kind, first.charge) == ("payment_intent.requires_action", asked)
        assert second.charge is not None
        assert second.charge.state == ended.state

    @pytest.mark.parametrize(
        ("answer", "ends", "error"),
        [
            ("complete", "succeeded", None),
            ("fail", "requires_payment_method", "payment_intent_authentication_failure"),
        ],
    )
    async def test_card_asks_its_holder(
        self, stripe: StripeAdapter, browser: Browser, answer: str, ends: str, error: str | None
    ) -> None:
        intent = await on_session(stripe)
        assert (intent["status"], intent["latest_charge"]) == ("requires_action", None)
        url = intent["next_action"]["redirect_to_url"]["url"]
        status, html = await browser.get(url)
        assert (status, "10.50 USD" in html) == (200, True)
        status, to = await browser.post(url, {"answer": answer})
        assert (status, to.startswith("http://portal.test/paid?payment=1&payment_intent=pi_")) == (303, True)
        ended = await stripe._get(f"/v1/payment_intents/{intent['id']}", {})
        assert (ended["status"], ended["next_action"]) == (ends, None)
        assert (ended["last_payment_error"] or {}).get("code") == error
        assert (await browser.get(url))[0] == 409

    async def test_waiting_payment_can_be_cancelled(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        intent = await on_session(stripe)
        assert (await stripe.cancel_charge(intent["id"])).state == "cancelled"
        with pytest.raises(aiohttp.ClientResponseError):
            await sandbox.control(f"payment_intents/{intent['id']}/authenticate")

    async def test_absent_holder_is_a_decline(self, stripe: StripeAdapter) -> None:
        charge = await (await payer(stripe, "pm_card_authenticationRequired")).charge("attempt-1")
        assert (charge.state, charge.reason) == ("declined", "authentication_required")

    async def test_holder_is_asked_when_saving(self, stripe: StripeAdapter, browser: Browser) -> None:
        session = await open_session(stripe)
        three_d = {**FORM, "card": "4000002760003184"}
        status, to = await browser.post(session["url"], three_d)
        assert (status, "/authenticate/seti_" in to) == (303, True)
        assert (await browser.get(to))[0] == 200
        assert await browser.post(to, {"answer": "fail"}) == (303, session["url"])
        assert "could not authenticate" in (await browser.get(session["url"]))[1]
        _, again = await browser.post(session["url"], three_d)
        _, done = await browser.post(again, {"answer": "complete"})
        assert done.startswith("http://portal.test/done")
        assert (await whole(stripe, session["id"]))["setup_intent"]["status"] == "succeeded"


@pytest.mark.parametrize("path", ["setup/cs_test_0", "authenticate/pi_0", "authenticate/seti_0", "deposits/x"])
async def test_missing_page_says_so(sandbox: Sandbox, browser: Browser, path: str) -> None:
    assert (await browser.get(f"{sandbox.url}/{path}"))[0] in (404, 409)


@pytest.mark.parametrize(
    "params",
    [
        {"mode": "payment"},
        {"mode": "setup", "customer": "cus_0"},
        {"mode": "setup", "customer": "", "success_url": "javascript:alert(1)"},
        {"mode": "setup", "customer": "", "success_url": SUCCESS, "payment_method_types": ["ideal"]},
    ],
)
async def test_wrong_session_is_refused(stripe: StripeAdapter, params: dict[str, Any]) -> None:
    customer = await stripe.create_customer("customer-1")
    params = {**params, "customer": params.get("customer") or customer}
    with pytest.raises(ProviderRefused):
        await stripe._post("/v1/checkout/sessions", "session-1", params)
