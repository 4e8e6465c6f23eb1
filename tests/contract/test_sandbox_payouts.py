"""Payouts of the sandbox and the file of its bank, on the real process: what is gathered, and that it sums up."""

import asyncio
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import aiohttp
import pytest

from payments import bank_files
from payments.providers import RefundRequest
from payments.providers.stripe_adapter import StripeAdapter
from sandbox.clock import Clock
from tests.kit.provider_sandbox import Sandbox, payer, running, until


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


async def pay_out(sandbox: Sandbox, **how: Any) -> list[dict[str, Any]]:
    return list((await sandbox.control("payouts", everything=True, **how))["items"])


async def booked(stripe: StripeAdapter, payout: str) -> list[dict[str, Any]]:
    found = await stripe._get("/v1/balance_transactions", {"payout": payout, "limit": 100})
    return list(found["data"])


class TestMakingPayouts:
    async def test_lines_sum_to_the_amount(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who, bank = await payer(stripe), await payer(stripe, "pm_usBankAccount_success")
        charges = [await who.charge(f"attempt-{n}", 10_000) for n in range(3)]
        debit = await bank.charge("attempt-debit", 20_000)
        await sandbox.control(f"payment_intents/{debit.provider_id}/clear")
        await stripe.refund(RefundRequest("refund-1", charges[0].provider_id, 4_000, "USD"))
        await sandbox.control(f"payment_intents/{charges[1].provider_id}/dispute")
        (payout,) = await pay_out(sandbox)
        of_payout = await booked(stripe, payout["id"])
        assert [each["type"] for each in of_payout] == ["payout", "adjustment", "refund", "payment", *["charge"] * 3]
        assert sum(each["net"] for each in of_payout if each["type"] != "payout") == payout["amount"]
        assert payout["amount"] == 3 * (10_000 - 320) + 20_000 - 160 - 4_000 - 11_500
        assert of_payout[0]["net"] == -payout["amount"]
        assert await pay_out(sandbox) == []

    async def test_only_available_money_is_paid_automatically(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        await (await payer(stripe)).charge("attempt-1")
        assert (await sandbox.control("payouts"))["items"] == []

    async def test_each_currency_has_its_own(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        for currency in ("USD", "EUR", "JPY"):
            await stripe.charge(who.request(f"attempt-{currency}", 5_000, currency))
        assert [(each["currency"], each["amount"]) for each in await pay_out(sandbox)] == [
            ("eur", 4825), ("jpy", 4825), ("usd", 4825),
        ]  # fmt: skip

    async def test_negative_balance_waits_for_the_next(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        first = await who.charge("attempt-1", 5_000)
        (before,) = await pay_out(sandbox)
        await stripe.refund(RefundRequest("refund-1", first.provider_id, 5_000, "USD"))
        assert await pay_out(sandbox) == []
        await who.charge("attempt-2", 20_000)
        (after,) = await pay_out(sandbox)
        assert (before["amount"], after["amount"]) == (4_825, 20_000 - 610 - 5_000)

    async def test_is_sent_paid_and_announced(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        await (await payer(stripe)).charge("attempt-1")
        (payout,) = await pay_out(sandbox, arrival_date="2026-03-08")
        assert (payout["status"], payout["arrival_date"]) == (
            "pending",
            int(datetime(2026, 3, 8, tzinfo=UTC).timestamp()),
        )
        assert (await sandbox.control(f"payouts/{payout['id']}/send"))["status"] == "in_transit"
        assert (await sandbox.control(f"payouts/{payout['id']}/pay"))["status"] == "paid"
        events = (await stripe._get("/v1/events", {"limit": 4}))["data"]
        asked = ["payout.paid", "payout.updated", "payout.reconciliation_completed", "payout.created"]
        assert [event["type"] for event in events] == asked

    async def test_failed_one_is_paid_again(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        await (await payer(stripe)).charge("attempt-1")
        (payout,) = await pay_out(sandbox)
        failed = await sandbox.control(f"payouts/{payout['id']}/fail", code="account_closed")
        assert (failed["status"], failed["failure_code"]) == ("failed", "account_closed")
        (again,) = await pay_out(sandbox)
        assert (again["amount"], [each["type"] for each in await booked(stripe, again["id"])]) == (
            payout["amount"],
            ["payout", "payout_failure"],
        )
        with pytest.raises(aiohttp.ClientResponseError):
            await sandbox.control(f"payouts/{payout['id']}/pay")

    async def test_rule_pays_automatically(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        await stripe.refund(RefundRequest("refund-1", charge.provider_id, 100, "USD"))
        (failed,) = await pay_out(sandbox)
        await sandbox.control(f"payouts/{failed['id']}/fail")
        await sandbox.control("rules", payout_every_seconds=0.1, payout_clear_seconds=0.1)

        async def paid() -> bool:
            found = await stripe._get("/v1/payouts", {"status": "paid"})
            return len(found["data"]) == 1

        await until(paid)


class TestReadingPayouts:
    async def test_adapter_reads_from_a_cursor(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        made = []
        for n in range(5):
            await who.charge(f"attempt-{n}", 1_000 * (n + 1))
            made += await pay_out(sandbox, arrival_date="2026-03-08")
        read, cursor = [], None
        while page := await stripe.payouts_since(cursor, 2):
            read += page
            cursor = page[-1].provider_id
        assert [(each.provider_id, each.amount_minor) for each in read] == [
            (each["id"], each["amount"]) for each in made
        ]
        await sandbox.control(f"payouts/{made[0]['id']}/fail", code="account_closed")
        failed = await stripe.get_payout(made[0]["id"])
        assert (failed.state, failed.reason, failed.arrives_on) == ("failed", "account_closed", date(2026, 3, 8))
        assert failed.trace == made[0]["trace_id"]["value"]
        asked = [event for event in await stripe.events_since(None, 100) if event.payout_id == made[0]["id"]]
        assert [event.kind for event in asked] == ["payout.created", "payout.reconciliation_completed", "payout.failed"]

    async def test_adapter_lists_the_lines(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who, bank = await payer(stripe), await payer(stripe, "pm_usBankAccount_success")
        first, second = await who.charge("attempt-1", 90_000), await who.charge("attempt-2", 10_000)
        debit = await bank.charge("attempt-3", 20_000)
        await sandbox.control(f"payment_intents/{debit.provider_id}/clear")
        await sandbox.control(f"payment_intents/{debit.provider_id}/return", code="R01")
        back = await stripe.refund(RefundRequest("refund-1", first.provider_id, 4_000, "USD"))
        await sandbox.control(f"refunds/{back.provider_id}/fail")
        dispute = await sandbox.control(f"payment_intents/{second.provider_id}/dispute")
        await sandbox.control(f"disputes/{dispute['id']}/win")
        (payout,) = await pay_out(sandbox)
        lines = await stripe.payout_lines(payout["id"])
        assert [(line.kind, line.charge_id, line.amount_minor, line.fee_minor) for line in lines] == [
            ("charge", first.provider_id, 90_000, 2_640),
            ("charge", second.provider_id, 10_000, 320),
            ("charge", debit.provider_id, 20_000, 160),
            ("return", debit.provider_id, -20_000, 0),
            ("refund", first.provider_id, -4_000, 0),
            ("refund_failed", first.provider_id, 4_000, 0),
            ("chargeback", second.provider_id, -10_000, 1_500),
            ("chargeback_won", second.provider_id, 10_000, 0),
        ]
        assert sum(line.net_minor for line in lines) == payout["amount"]
        assert all(line.net_minor == line.amount_minor - line.fee_minor for line in lines)
        await sandbox.control(f"payouts/{payout['id']}/fail")
        (again,) = await pay_out(sandbox)
        assert [(line.kind, line.charge_id) for line in await stripe.payout_lines(again["id"])] == [
            ("payout_failed", None)
        ]

    async def test_many_lines_are_read_whole(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        who = await payer(stripe)
        await asyncio.gather(*(who.charge(f"attempt-{n}", 1_000) for n in range(250)))
        (payout,) = await pay_out(sandbox)
        lines = await stripe.payout_lines(payout["id"])
        assert (len({line.charge_id for line in lines}), sum(line.net_minor for line in lines)) == (
            250,
            payout["amount"],
        )

    @pytest.mark.parametrize(("currency", "minor"), [("ISK", 5_000), ("JPY", 5_000), ("KWD", 5_000), ("MGA", 500_000)])
    async def test_amounts_are_in_the_providers_units(
        self, stripe: StripeAdapter, sandbox: Sandbox, currency: str, minor: int
    ) -> None:
        who = await payer(stripe)
        await stripe.charge(who.request("attempt-1", minor, currency))
        await pay_out(sandbox)
        (payout,) = await stripe.payouts_since(None, 10)
        (line,) = await stripe.payout_lines(payout.provider_id)
        assert (line.amount_minor, line.net_minor, line.currency) == (minor, payout.amount_minor, currency)


TRANSFERS = [
    {
        "amount_minor": 125_000, "currency": "USD", "booked_on": "2026-03-06", "text": "For 2026-001, & more",
        "reference": "2026-001", "payer": "Müller & Söhne GmbH", "payer_account": "DE89370400440532013000",
    },
    {"amount_minor": -4_500, "currency": "USD", "booked_on": "2026-03-06", "text": "Fees"},
    {"amount_minor": 99, "currency": "USD", "booked_on": "2026-03-07", "text": "twin", "payer": "A"},
    {"amount_minor": 99, "currency": "USD", "booked_on": "2026-03-07", "text": "twin", "payer": "A"},
    {"amount_minor": 12_500, "currency": "JPY", "booked_on": "2026-03-07", "text": "x" * 140, "reference": "R" * 40},
]  # fmt: skip


async def bank_file(sandbox: Sandbox, **asked: Any) -> bytes:
    async with (
        aiohttp.ClientSession(sandbox.url) as http,
        http.post("/_control/bank-file", json=asked, raise_for_status=True) as answer,
    ):
        return await answer.read()


class TestBankFile:
    @pytest.mark.parametrize("form", ["camt.053", "bai2", "mt940", "csv"])
    async def test_payouts_are_read_back(self, stripe: StripeAdapter, sandbox: Sandbox, form: str) -> None:
        await (await payer(stripe)).charge("attempt-1")
        (payout,) = await pay_out(sandbox, arrival_date="2026-03-08", paid=True)
        asked = {"format": form, "account": "123456789", "lines": TRANSFERS, "payouts": True}
        file = await bank_file(sandbox, **asked)
        reading = bank_files.read(io.BytesIO(file))
        assert reading.format.startswith(form)
        lines = sorted(reading.lines, key=lambda line: (line.booked_on or date.min, line.currency, line.amount_minor))
        assert [(line.amount_minor, line.currency) for line in lines] == [
            (-4_500, "USD"), (125_000, "USD"), (12_500, "JPY"), (99, "USD"), (99, "USD"), (payout["amount"], "USD"),
        ]  # fmt: skip
        assert {line.account for line in lines} == {"123456789"}
        assert all(line.status == "booked" for line in lines)
        assert payout["trace_id"]["value"] in " ".join((lines[-1].text, *lines[-1].references))
        assert "2026-001" in " ".join((lines[1].text, *lines[1].references))
        if form != "csv":
            assert len({line.bank_reference for line in lines}) == 6
        assert await bank_file(sandbox, **asked) == file

    async def test_days_can_be_limited(self, stripe: StripeAdapter, sandbox: Sandbox) -> None:
        await (await payer(stripe)).charge("attempt-1")
        await pay_out(sandbox, arrival_date="2026-03-08", paid=True)
        bounds = {"format": "csv", "account": "1", "payouts": True}
        assert len((await bank_file(sandbox, **bounds, to="2026-03-07")).splitlines()) == 1
        assert len((await bank_file(sandbox, **bounds, **{"from": "2026-03-08"})).splitlines()) == 2

    @pytest.mark.parametrize(
        "asked",
        [
            {"format": "pdf", "account": "1"},
            {"format": "csv"},
            {"account": "1", "lines": [{"amount_minor": 1.5, "currency": "USD", "booked_on": "2026-03-08"}]},
            {"account": "1", "lines": [{"amount_minor": 1, "currency": "USD", "booked_on": "soon"}]},
            {"account": "1", "lines": {}},
            {"account": "1", "from": "soon"},
        ],
    )
    async def test_wrong_request_is_refused(self, sandbox: Sandbox, asked: dict[str, Any]) -> None:
        with pytest.raises(aiohttp.ClientResponseError) as refused:
            await bank_file(sandbox, **asked)
        assert refused.value.status == 400

    @pytest.mark.parametrize(
        ("zone", "day"), [("UTC", "2026-03-02"), ("America/New_York", "2026-03-01"), ("Asia/Tokyo", "2026-03-02")]
    )
    def test_day_is_the_companys(self, monkeypatch: pytest.MonkeyPatch, zone: str, day: str) -> None:
        monkeypatch.setattr("time.time", lambda: datetime(2026, 3, 2, 3, tzinfo=UTC).timestamp())
        asked = datetime.fromtimestamp(Clock(None, zone).today(), UTC)
        assert (f"{asked:%Y-%m-%d}", asked.hour) == (day, 0)
