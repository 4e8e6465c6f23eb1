"""`paidup sandbox …` on the real sandbox process: what a person types, and what happens."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from paidup_local import sandbox_cli
from payments import bank_files
from payments.providers import RefundRequest
from payments.providers.stripe_adapter import StripeAdapter
from tests.kit.provider_sandbox import Sandbox, payer, running

Command = Callable[..., Awaitable[Any]]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with running(tmp_path / "sandbox") as found:
        yield found


@pytest.fixture
async def stripe(sandbox: Sandbox) -> AsyncIterator[StripeAdapter]:
    adapter = sandbox.adapter()
    yield adapter
    await adapter.close()


@pytest.fixture
def paidup(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs a command; its answer as JSON."""
    monkeypatch.setattr(sandbox_cli, "_control", lambda: f"{sandbox.url}/_control")

    async def run(*words: str) -> Any:
        done: Result = await asyncio.to_thread(CliRunner().invoke, sandbox_cli.app, list(words))
        if done.exception is not None:
            raise done.exception
        return json.loads(done.stdout) if done.stdout.startswith(("{", "[")) else done.stdout

    return run


class TestCommands:
    async def test_refund_fails_by_payment_id(self, stripe: StripeAdapter, paidup: Command) -> None:
        charge = await (await payer(stripe)).charge("attempt-1")
        await stripe.refund(RefundRequest("refund-1", charge.provider_id, 1050, "USD"))
        failed = await paidup("refund-fail", "payment-of-attempt-1", "--reason", "lost_or_stolen_card")
        assert (failed["status"], failed["failure_reason"]) == ("failed", "lost_or_stolen_card")

    async def test_pending_refund_arrives(self, stripe: StripeAdapter, paidup: Command) -> None:
        charge = await (await payer(stripe, "pm_card_pendingRefund")).charge("attempt-1")
        back = await stripe.refund(RefundRequest("refund-1", charge.provider_id, 1050, "USD"))
        assert (await paidup("refund-succeed", back.provider_id))["status"] == "succeeded"

    @pytest.mark.parametrize(("ends", "status"), [("dispute-win", "won"), ("dispute-lose", "lost")])
    async def test_dispute_is_opened_and_decided(
        self, stripe: StripeAdapter, paidup: Command, ends: str, status: str
    ) -> None:
        await (await payer(stripe)).charge("attempt-1")
        opened = await paidup("dispute", "payment-of-attempt-1", "--amount", "400", "--reason", "duplicate")
        assert (opened["status"], opened["amount"], opened["reason"]) == ("needs_response", 400, "duplicate")
        assert (await paidup(ends, "payment-of-attempt-1"))["status"] == status

    async def test_payment_without_disputes_is_refused(self, stripe: StripeAdapter, paidup: Command) -> None:
        await (await payer(stripe)).charge("attempt-1")
        with pytest.raises(sandbox_cli.StackError):
            await paidup("dispute-win", "payment-of-attempt-1")

    @pytest.mark.parametrize(("words", "ends"), [((), "succeeded"), (("--fail",), "requires_payment_method")])
    async def test_holder_answers_before_there_is_a_charge(
        self, stripe: StripeAdapter, paidup: Command, words: tuple[str, ...], ends: str
    ) -> None:
        asking = await payer(stripe, "pm_card_threeDSecure2Required")
        asked = await stripe.charge(
            replace(asking.request("attempt-1"), on_session=True, return_url="http://portal.test/done")
        )
        assert (asked.state, (await paidup("charges"))["items"]) == ("requires_action", [])
        answered = await paidup("authenticate", "payment-of-attempt-1", *words)
        assert (answered["payment_intent"], answered["intent_status"]) == (asked.provider_id, ends)
        with pytest.raises(sandbox_cli.StackError):
            await paidup("authenticate", "payment-of-attempt-2")

    async def test_payout_arrives_in_the_bank_file(
        self, stripe: StripeAdapter, paidup: Command, tmp_path: Path
    ) -> None:
        await (await payer(stripe)).charge("attempt-1")
        (payout,) = (await paidup("payout", "--everything", "--arrival", "2026-03-08"))["items"]
        assert (await paidup("payout-pay", payout["id"]))["status"] == "paid"
        lines, file = tmp_path / "lines.json", tmp_path / "file"
        lines.write_text(json.dumps([{"amount_minor": 500, "currency": "USD", "booked_on": "2026-03-09"}]))
        await paidup("bank-file", "123456789", "--format", "bai2", "--lines", str(lines), "-o", str(file))
        with file.open("rb") as written:
            assert [line.amount_minor for line in bank_files.read(written).lines] == [payout["amount"], 500]
        assert "STRIPE TRANSFER" in await paidup("bank-file", "1", "--format", "csv", "--from", "2026-03-08")
        with pytest.raises(sandbox_cli.StackError):
            await paidup("bank-file", "1", "--format", "pdf")

    async def test_automatic_payouts_are_a_rule(self, paidup: Command) -> None:
        rules = await paidup("payouts", "--every", "60", "--clear", "2")
        assert (rules["payout_every_seconds"], rules["payout_clear_seconds"]) == (60, 2)
        assert (await paidup("refund-clear", "3"))["refund_clear_seconds"] == 3

    async def test_card_expires(self, stripe: StripeAdapter, paidup: Command) -> None:
        who = await payer(stripe)
        assert (await paidup("expire-card", who.method.provider_id))["card"]["exp_year"] < 2034
