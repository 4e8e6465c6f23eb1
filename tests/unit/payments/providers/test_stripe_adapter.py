"""The Stripe adapter alone: units, signatures, events, and what an answer's status means."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import EXPONENTS
from payments.providers import (
    BadSignature,
    Charge,
    ChargeRequest,
    Provider,
    ProviderDown,
    ProviderEvent,
    ProviderRefused,
    ProviderUnknown,
    SetupOutcome,
)
from payments.providers.stripe_adapter import StripeAdapter
from payments.providers.stripe_answers import EVENTS, disputed, setup
from payments.providers.stripe_money import payout, payout_line
from payments.providers.stripe_units import from_stripe, refusal, to_stripe
from tests.kit.provider_sandbox import free_port

SECRET = "whsec_unit"
NOW = datetime(2026, 3, 8, 6, 59, 59, tzinfo=UTC)
REQUEST = ChargeRequest("attempt-1", "payment-1", "cus_1", "pm_1", 1050, "USD")


def adapter(url: str = "http://127.0.0.1:1", timeout: float = 5.0) -> StripeAdapter:
    return StripeAdapter(url=url, key="sk_test_unit", webhook_secret=SECRET, timeout=timeout)


def signed(body: bytes, at: datetime = NOW, secret: str = SECRET) -> str:
    stamp = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def intent(**changes: Any) -> dict[str, Any]:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 1050,
        "amount_received": 1050,
        "currency": "usd",
        "last_payment_error": None,
        "latest_charge": "ch_1",
        "metadata": {"attempt_id": "attempt-1", "payment_id": "payment-1"},
        "status": "succeeded",
        **changes,
    }


def event(kind: str, subject: dict[str, Any]) -> bytes:
    created = int(NOW.timestamp())
    body = {"id": "evt_1", "object": "event", "type": kind, "created": created, "data": {"object": subject}}
    return json.dumps(body).encode()


def read(kind: str, subject: dict[str, Any]) -> ProviderEvent:
    body = event(kind, subject)
    return adapter().read_webhook(body, signed(body), NOW)


def charge_in(kind: str, subject: dict[str, Any]) -> Charge:
    charge = read(kind, subject).charge
    assert charge is not None
    return charge


def test_it_is_a_provider() -> None:
    provider: Provider = adapter()
    assert provider.accepts(50, "USD") is None


# amounts


class TestAmounts:
    @pytest.mark.parametrize(
        ("minor", "currency", "amount"),
        [
            (1050, "USD", 1050),
            (500, "JPY", 500),
            (5120, "KWD", 5120),
            (5, "ISK", 500),
            (7, "UGX", 700),
            (300, "MGA", 3),
        ],
    )
    def test_units_differ_from_iso_for_three_currencies(self, minor: int, currency: str, amount: int) -> None:
        assert to_stripe(minor, currency) == amount
        assert from_stripe(amount, currency) == minor

    @given(st.integers(1, 10**9), st.sampled_from(sorted(EXPONENTS)))
    def test_accepted_amount_is_read_back_the_same(self, minor: int, currency: str) -> None:
        if refusal(minor, currency) is None:
            assert from_stripe(to_stripe(minor, currency), currency) == minor
            assert 0 < to_stripe(minor, currency) <= 99_999_999

    @pytest.mark.parametrize(
        ("minor", "currency", "says"),
        [
            (49, "USD", "least amount in USD is 50"),
            (0, "ARS", "least amount"),
            (-100, "USD", "least amount"),
            (17_499, "HUF", "least amount"),
            (5_125, "KWD", "divisible by 10"),
            (301, "MGA", "divisible by 100"),
            (100_000_000, "USD", "eight digits"),
            (1_000_000, "ISK", "eight digits"),
            (5_000, "IQD", "not a currency"),
            (5_000, "XXX", "not a currency"),
            (5_000, "usd", "not a currency"),
        ],
    )
    def test_unacceptable_amount_is_refused_with_the_reason(self, minor: int, currency: str, says: str) -> None:
        assert says in str(adapter().accepts(minor, currency))

    @pytest.mark.parametrize(("minor", "currency"), [(50, "USD"), (99_999_999, "USD"), (5_120, "KWD"), (50, "JPY")])
    def test_acceptable_amount_is_accepted(self, minor: int, currency: str) -> None:
        assert adapter().accepts(minor, currency) is None


# signatures

BODY = event("payment_intent.succeeded", intent())


class TestSignature:
    @pytest.mark.parametrize("seconds", [-300, 0, 300])
    def test_within_the_tolerance_is_taken(self, seconds: int) -> None:
        assert adapter().read_webhook(BODY, signed(BODY, NOW + timedelta(seconds=seconds)), NOW).id == "evt_1"

    @pytest.mark.parametrize("seconds", [-301, 301])
    def test_outside_the_tolerance_is_refused(self, seconds: int) -> None:
        with pytest.raises(BadSignature):
            adapter().read_webhook(BODY, signed(BODY, NOW + timedelta(seconds=seconds)), NOW)

    def test_made_by_the_sdk_is_taken(self) -> None:
        from stripe import WebhookSignature

        header = WebhookSignature.generate_signature_header(BODY.decode(), SECRET, int(NOW.timestamp()))
        assert adapter().read_webhook(BODY, header, NOW).id == "evt_1"

    def test_one_good_among_several_is_enough(self) -> None:
        stamp, good = signed(BODY).split(",")
        old = signed(BODY, secret="whsec_old").split(",")[1]
        assert adapter().read_webhook(BODY, f"{stamp},{old},v0=ab,{good}", NOW).id == "evt_1"

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "nonsense",
            "t=,v1=",
            f"t={int(NOW.timestamp())}",
            signed(BODY, secret="whsec_other"),
            signed(BODY).replace("v1=", "v0="),
            signed(BODY)[:-1],
            signed(BODY) + "é",
            signed(BODY).replace(f"t={int(NOW.timestamp())}", f"t={int(NOW.timestamp()) + 1}"),
            "t=99999999999999999999," + signed(BODY).split(",")[1],
        ],
    )
    def test_wrong_header_is_refused(self, header: str) -> None:
        with pytest.raises(BadSignature):
            adapter().read_webhook(BODY, header, NOW)

    @given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
    def test_tampered_body_is_refused(self, place: int, flip: int) -> None:
        tampered = bytearray(BODY)
        tampered[place] ^= flip
        with pytest.raises(BadSignature):
            adapter().read_webhook(bytes(tampered), signed(BODY), NOW)

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"id": "evt_1"}'])
    def test_signed_body_without_an_event_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadSignature):
            adapter().read_webhook(body, signed(body), NOW)


# events


DISPUTE = {
    "id": "du_1",
    "amount": 1050,
    "created": int(NOW.timestamp()) - 60,
    "currency": "usd",
    "network_reason_code": "R01",
    "payment_intent": "pi_1",
    "reason": "insufficient_funds",
    "status": "lost",
}


class TestDispute:
    def test_of_card_is_chargeback_and_of_bank_return(self) -> None:
        card = disputed({**DISPUTE, "payment_method_details": {"type": "card"}, "network_reason_code": None})
        assert card is not None
        assert (card.kind, card.code) == ("chargeback", "insufficient_funds")
        bank = disputed(DISPUTE)
        assert bank is not None
        assert (bank.kind, bank.code) == ("return", "R01")

    @pytest.mark.parametrize("status", ["warning_needs_response", "warning_under_review", "warning_closed"])
    def test_inquiry_takes_no_money(self, status: str) -> None:
        assert disputed({**DISPUTE, "status": status}) is None


SESSION = {
    "id": "cs_1",
    "status": "complete",
    "setup_intent": {
        "status": "requires_payment_method", "payment_method": None, "last_setup_error": {"code": "card_declined"},
    },
}  # fmt: skip


class TestSetup:
    def test_failed_one_says_why(self) -> None:
        assert setup(SESSION) == SetupOutcome("failed", reason="card_declined")

    def test_kind_that_is_not_offered_is_refused(self) -> None:
        klarna = {"status": "succeeded", "payment_method": {"id": "pm_1", "type": "klarna", "klarna": {}}}
        with pytest.raises(ProviderRefused):
            setup({**SESSION, "setup_intent": klarna})


PAYOUT = {
    "id": "po_1",
    "amount": 50_000,
    "automatic": True,
    "arrival_date": 1772928000,
    "created": 1772841600,
    "currency": "isk",
    "failure_code": None,
    "statement_descriptor": "PAIDUP",
    "status": "in_transit",
    "trace_id": None,
}


LINE = {"id": "txn_1", "amount": -1050, "fee": 0, "net": -1050, "currency": "usd", "created": 1772841600}


class TestPayout:
    def test_is_read_in_iso_units_and_days(self) -> None:
        told = payout(PAYOUT)
        assert (told.state, told.amount_minor, told.currency, told.arrives_on) == (
            "in_transit",
            500,
            "ISK",
            date(2026, 3, 8),
        )
        assert (told.trace, told.descriptor, told.by_hand) == (None, "PAIDUP", False)
        assert payout({**PAYOUT, "automatic": False}).by_hand

    @pytest.mark.parametrize(
        ("kind", "source", "ours", "charge_id"),
        [
            ("charge", {"object": "charge", "payment_intent": "pi_1"}, "charge", "pi_1"),
            ("payment", {"object": "charge", "payment_intent": "pi_1"}, "charge", "pi_1"),
            ("payment_refund", {"object": "refund", "payment_intent": "pi_1"}, "refund", "pi_1"),
            ("payment_failure_refund", {"object": "refund", "payment_intent": "pi_1"}, "return", "pi_1"),
            ("adjustment", {"object": "dispute", "payment_intent": "pi_1"}, "return", "pi_1"),
            ("adjustment", None, "adjustment", None),
            ("stripe_fee", "fee_1", "fee", None),
            ("reserve_transaction", None, "adjustment", None),
        ],
    )
    def test_each_line_has_one_of_our_kinds(self, kind: str, source: Any, ours: str, charge_id: str | None) -> None:
        line = payout_line({**LINE, "type": kind, "source": source})
        assert (line.kind, line.charge_id, line.amount_minor, line.net_minor) == (ours, charge_id, -1050, -1050)

    @pytest.mark.parametrize("kind", ["payout_failure", "payout_cancel"])
    def test_line_of_a_failed_payout_names_it(self, kind: str) -> None:
        source = {"id": "po_1", "object": "payout"}
        line = payout_line({**LINE, "type": kind, "source": source})
        assert (line.kind, line.payout_id, line.charge_id) == ("payout_failed", "po_1", None)
        assert payout_line({**LINE, "type": "charge", "source": {"id": "ch_1", "object": "charge"}}).payout_id is None


class TestEvents:
    @pytest.mark.parametrize("kind", ["charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"])
    def test_dispute_names_only_its_charge(self, kind: str) -> None:
        charge = charge_in(kind, DISPUTE)
        assert (charge.provider_id, charge.attempt_id, charge.taken_back) == ("pi_1", None, ())

    @pytest.mark.parametrize("kind", ["refund.created", "refund.updated", "refund.failed"])
    def test_refund_names_only_its_charge(self, kind: str) -> None:
        charge = charge_in(kind, {"id": "re_1", "amount": 500, "currency": "usd", "payment_intent": "pi_1"})
        assert (charge.provider_id, charge.attempt_id, charge.taken_back) == ("pi_1", None, ())

    @pytest.mark.parametrize(
        "kind", ["payout.created", "payout.paid", "payout.failed", "payout.reconciliation_completed"]
    )
    def test_payout_is_named(self, kind: str) -> None:
        told = read(kind, {"id": "po_1", "metadata": {}})
        assert (told.payout_id, told.setup_id, told.charge) == ("po_1", None, None)

    @pytest.mark.parametrize(
        "kind", ["checkout.session.completed", "setup_intent.succeeded", "setup_intent.setup_failed"]
    )
    def test_setup_names_our_reference(self, kind: str) -> None:
        told = read(kind, {"id": "x_1", "metadata": {"setup_id": "setup-1"}})
        assert (told.setup_id, told.payout_id, told.charge) == ("setup-1", None, None)
        assert read(kind, {"id": "x_1", "metadata": {}}).setup_id is None

    def test_types_are_within_stripes_limit(self) -> None:
        assert len(EVENTS) <= 20

    @pytest.mark.parametrize("kind", ["charge.succeeded", "customer.created", "something.new"])
    def test_unused_types_carry_no_charge(self, kind: str) -> None:
        told = read(kind, {"id": "x_1"})
        assert (told.id, told.kind, told.occurred_at, told.charge) == ("evt_1", kind, NOW, None)


# what an answer means


class Answering:
    """A server that answers every request alike; without a status it hangs up."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls = 0
        self.status: int | None = 200
        self.body = b""
        self.seconds = 0.0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.calls += 1
        await asyncio.sleep(self.seconds)
        if self.status is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=self.status, body=self.body, content_type="application/json")


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    port = free_port()
    server = Answering(f"http://127.0.0.1:{port}")
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield server
    await runner.cleanup()


def fault(kind: str = "invalid_request_error", **fields: Any) -> bytes:
    return json.dumps({"error": {"type": kind, "message": "no", **fields}}).encode()


async def charging(server: Answering, patience: float = 5.0) -> Charge:
    stripe = adapter(server.url, patience)
    try:
        return await stripe.charge(REQUEST)
    finally:
        await stripe.close()


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "body", "raised"),
        [
            (400, fault(code="parameter_invalid"), ProviderRefused),
            (404, fault(code="resource_missing"), ProviderRefused),
            (402, fault("card_error", code="card_declined"), ProviderRefused),
            (400, fault("idempotency_error"), ProviderUnknown),
            (409, fault("idempotency_error", code="idempotency_key_in_use"), ProviderUnknown),
            (409, fault(code="lock_timeout"), ProviderUnknown),
            (500, fault("api_error"), ProviderUnknown),
            (502, b"<html>bad gateway</html>", ProviderUnknown),
            (200, b"<html>no json</html>", ProviderUnknown),
            (200, b"{}", ProviderUnknown),
            (404, b"<html>a proxy's page</html>", ProviderUnknown),
            (503, b"", ProviderDown),
            (401, fault(), ProviderDown),
            (403, fault(), ProviderDown),
            (429, fault(code="rate_limit"), ProviderDown),
            (None, b"", ProviderUnknown),
        ],
    )
    async def test_refusal_is_final_only_when_nothing_was_done(
        self, answering: Answering, status: int | None, body: bytes, raised: type[Exception]
    ) -> None:
        answering.status, answering.body = status, body
        with pytest.raises(raised) as caught:
            await charging(answering)
        assert type(caught.value) is raised
        assert answering.calls == 1

    async def test_late_one_is_unknown(self, answering: Answering) -> None:
        answering.seconds, answering.body = 2.0, b"{}"
        with pytest.raises(ProviderUnknown):
            await charging(answering, patience=0.2)

    async def test_without_a_provider_it_is_down(self) -> None:
        with pytest.raises(ProviderDown):
            await charging(Answering(f"http://127.0.0.1:{free_port()}"))

    async def test_decline_is_an_answer(self, answering: Answering) -> None:
        error = {"code": "card_declined", "decline_code": "lost_card"}
        failed = intent(status="requires_payment_method", amount_received=0, last_payment_error=error)
        answering.status, answering.body = 402, fault("card_error", code="card_declined", payment_intent=failed)
        charge = await charging(answering)
        assert (charge.provider_id, charge.state, charge.reason) == ("pi_1", "declined", "lost_card")


@pytest.mark.parametrize("token", ["", "pm_1/../../customers", "pm_1?x=1", "pm 1", "pm_é", "x" * 256])
async def test_invalid_token_is_never_sent(token: str) -> None:
    with pytest.raises(ProviderRefused):
        await adapter().attach_method("cus_1", token, "key-1")


class TestIntent:
    def test_succeeded_one_is_cleared_at_the_event(self) -> None:
        charge = charge_in("payment_intent.succeeded", intent())
        assert charge == Charge("pi_1", "attempt-1", "succeeded", 1050, "USD", 1050, NOW, None)

    def test_debit_under_way_has_captured_nothing(self) -> None:
        charge = charge_in("payment_intent.processing", intent(status="processing", amount_received=0))
        assert (charge.state, charge.captured_minor, charge.cleared_on) == ("processing", 0, None)

    def test_failed_one_has_the_decline_code(self) -> None:
        error = {"code": "card_declined", "decline_code": "insufficient_funds"}
        failed = intent(status="requires_payment_method", amount_received=0, last_payment_error=error)
        charge = charge_in("payment_intent.payment_failed", failed)
        assert (charge.state, charge.reason) == ("declined", "insufficient_funds")

    @pytest.mark.parametrize("more", [{"metadata": {}}, {"metadata": {}, "currency": "xxq"}])
    def test_without_an_attempt_it_is_not_ours(self, more: dict[str, Any]) -> None:
        assert read("payment_intent.succeeded", intent(**more)).charge is None

    @pytest.mark.parametrize("status", ["requires_confirmation", "requires_payment_method", "requires_capture", "new"])
    def test_never_charged_one_is_open(self, status: str) -> None:
        charge = charge_in("payment_intent.processing", intent(status=status, amount_received=0))
        assert (charge.state, charge.reason, charge.captured_minor) == ("open", None, 0)

    def test_cancelled_one_stays_cancelled_after_a_decline(self) -> None:
        cancelled = intent(status="canceled", amount_received=0, last_payment_error={"code": "card_declined"})
        charge = charge_in("payment_intent.canceled", cancelled)
        assert (charge.state, charge.reason) == ("cancelled", None)

    def test_waiting_for_the_payer_has_an_address(self) -> None:
        action = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://hooks.test/3ds"}}
        waiting = intent(status="requires_action", amount_received=0, next_action=action)
        charge = charge_in("payment_intent.requires_action", waiting)
        assert (charge.state, charge.next_action_url) == ("requires_action", "https://hooks.test/3ds")

    @pytest.mark.parametrize("action", [None, {"type": "use_stripe_sdk", "use_stripe_sdk": {}}])
    def test_waiting_without_an_address_has_none(self, action: dict[str, Any] | None) -> None:
        waiting = intent(status="requires_action", amount_received=0, next_action=action)
        assert charge_in("payment_intent.requires_action", waiting).next_action_url is None

    @pytest.mark.parametrize(("metadata", "error"), [({}, ProviderRefused), ({"attempt_id": "a-1"}, ProviderUnknown)])
    async def test_unreadable_one_is_unknown_only_when_ours(
        self, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str], error: type[Exception]
    ) -> None:
        told = {"id": "pi_1", "status": "succeeded", "amount": 100, "currency": "bgn", "metadata": metadata}

        async def answer(*_: object) -> dict[str, object]:
            return told

        stripe = StripeAdapter(url="http://127.0.0.1:9", key="sk", webhook_secret="whsec")
        monkeypatch.setattr(stripe, "_get", answer)
        with pytest.raises(error):
            await stripe.get_charge("pi_1")
