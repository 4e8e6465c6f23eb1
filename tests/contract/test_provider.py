"""The adapter's calls against implementations that others wrote: they must take our requests as we send them."""

import asyncio
import pathlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from payments.providers import ChargeRequest, ProviderRefused, RefundRequest
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit.others_stripe import localstripe, stripe_mock, stripe_mock_program

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def adapter(url: str) -> StripeAdapter:
    return StripeAdapter(url=url, key="sk_test_123", webhook_secret="whsec_others")


# stripe-mock: checks each request against Stripe's own schema and answers with samples


@pytest.fixture(scope="module")
async def mocked() -> AsyncIterator[StripeAdapter]:
    program = await asyncio.to_thread(stripe_mock_program)
    if not isinstance(program, pathlib.Path):
        pytest.skip(program)
    async with stripe_mock(program) as url:
        stripe = adapter(url)
        yield stripe
        await stripe.close()


class TestStripesSchema:
    async def test_takes_every_call_that_writes(self, mocked: StripeAdapter) -> None:
        customer = await mocked.create_customer("customer-1")
        assert customer.startswith("cus_")
        method = await mocked.attach_method(customer, "pm_card_visa", "attach-1")
        assert (method.kind, method.last4) == ("card", "4242")
        request = ChargeRequest("attempt-1", "payment-1", customer, method.provider_id, 1050, "USD")
        charge = await mocked.charge(request)
        assert (charge.provider_id[:3], charge.amount_minor, charge.currency) == ("pi_", 1050, "USD")
        assert (await mocked.cancel_charge(charge.provider_id)).provider_id == charge.provider_id

    async def test_takes_a_payment_with_its_payer_present(self, mocked: StripeAdapter) -> None:
        there = ChargeRequest(
            "attempt-2",
            "payment-1",
            "cus_123",
            "pm_123",
            1050,
            "USD",
            on_session=True,
            return_url="https://a.test/paid",
        )
        assert (await mocked.charge(there)).amount_minor == 1050

    async def test_takes_refunds(self, mocked: StripeAdapter) -> None:
        back = await mocked.refund(RefundRequest("refund-1", "pi_123", 400, "USD"))
        assert (back.kind, back.amount_minor) == ("refund", 400)

    async def test_takes_setups(self, mocked: StripeAdapter) -> None:
        page = await mocked.begin_setup("cus_123", ("card", "bank_account"), "https://a.test/methods", "setup-1")
        assert page.id.startswith("cs_")
        assert (await mocked.setup_outcome(page.id)).state == "open"
        await mocked.verify_deposits(page.id, amounts_minor=(32, 45))
        await mocked.verify_deposits(page.id, code="SM11AA")
        await mocked.detach_method("pm_123")

    async def test_takes_every_call_about_payouts(self, mocked: StripeAdapter) -> None:
        for cursor in (None, "po_123"):
            assert {payout.provider_id[:3] for payout in await mocked.payouts_since(cursor, 50)} == {"po_"}
        assert (await mocked.get_payout("po_123")).provider_id == "po_123"
        assert [line.provider_id[:4] for line in await mocked.payout_lines("po_123")] == ["txn_"]

    async def test_takes_every_call_that_reads(self, mocked: StripeAdapter) -> None:
        assert (await mocked.get_charge("pi_123")).provider_id == "pi_123"
        assert await mocked.find_charge("cus_123", "attempt-1", SINCE) is None
        await mocked.events_since(None, 50)
        await mocked.events_since("evt_123", 50)

    async def test_refuses_a_wrong_amount(self, mocked: StripeAdapter) -> None:
        with pytest.raises(ProviderRefused):
            await mocked._post("/v1/payment_intents", "key-1", {"amount": "ten", "currency": "usd"})


# localstripe: keeps state; it has no bank debits, no captured amounts, and its lists of intents take no filter


@pytest.fixture(scope="module")
async def local() -> AsyncIterator[StripeAdapter]:
    async with localstripe() as url:
        stripe = adapter(url)
        yield stripe
        await stripe.close()


async def request(local: StripeAdapter, token: str, attempt: str) -> ChargeRequest:
    customer = await local.create_customer("customer-1")
    method = await local.attach_method(customer, token, f"attach-{attempt}")
    assert (method.kind, method.funding, method.expires) == ("card", "credit", (2030, 12))
    return ChargeRequest(attempt, "payment-1", customer, method.provider_id, 1050, "EUR")


class TestLocalstripe:
    async def test_charges_a_card(self, local: StripeAdapter) -> None:
        charge = await local.charge(await request(local, "pm_card_visa", "attempt-1"))
        assert (charge.state, charge.attempt_id, charge.amount_minor) == ("succeeded", "attempt-1", 1050)
        assert charge.cleared_on is not None
        assert await local.get_charge(charge.provider_id) == charge

    async def test_declines_a_card(self, local: StripeAdapter) -> None:
        with pytest.raises(ProviderRefused) as refused:
            await local.charge(await request(local, "pm_card_chargeCustomerFail", "attempt-2"))
        assert refused.value.code == "card_declined"

    async def test_refuses_to_attach_a_dead_card(self, local: StripeAdapter) -> None:
        with pytest.raises(ProviderRefused) as refused:
            await request(local, "pm_card_visa_chargeDeclined", "attempt-3")
        assert refused.value.code == "card_declined"

    async def test_knows_no_such_charge(self, local: StripeAdapter) -> None:
        with pytest.raises(ProviderRefused):
            await local.get_charge("pi_0")
