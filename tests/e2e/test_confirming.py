"""3-D Secure: the payer's bank asks before it pays."""

import asyncio
from typing import Any

from tests.kit.client import Client, slug
from tests.kit.stack import LocalStack

ASKS = "pm_card_authenticationRequired"
RETURN = "https://portal.example/paid"


async def asked(client: Client) -> tuple[str, Any]:
    """An invoice, and its payment that waits for the payer's confirmation."""
    customer = await client.customer()
    invoice, method = await client.invoice(customer), await client.method(customer, ASKS)
    quote = await client.quote(customer, method, invoice)
    body = {"quote_id": quote["id"], "accept_surcharge": True, "return_url": RETURN}
    payment = await client.make("/v1/payments", body, key=quote["id"])
    waiting = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] == "requires_action")
    return invoice, waiting


async def answer(stack: LocalStack, payment: Any, **how: Any) -> None:
    intent = payment["next_action_url"].rpartition("/")[2]
    await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/authenticate", **how)


class TestConfirming:
    async def test_confirmed_payment_pays_the_invoice(self, moving: Client, moving_stack: LocalStack) -> None:
        invoice, payment = await asked(moving)
        assert payment["next_action_url"].startswith("http")
        assert payment["act_by"] is not None
        assert (await moving.get(f"/v1/invoices/{invoice}"))["payable_now_minor"] == 0
        await answer(moving_stack, payment)
        await moving.paid(invoice)
        done = await moving.get(f"/v1/payments/{payment['id']}")
        assert (done["status"], done["next_action_url"], done["act_by"]) == ("succeeded", None, None)

    async def test_failed_confirmation_leaves_the_invoice_payable(
        self, moving: Client, moving_stack: LocalStack
    ) -> None:
        invoice, payment = await asked(moving)
        await answer(moving_stack, payment, fail=True)
        await moving.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] == "declined")
        await moving.until(f"/v1/invoices/{invoice}", lambda i: i["payable_now_minor"] == 10_000)

    async def test_expires_after_a_day(self, moving: Client, moving_stack: LocalStack) -> None:
        invoice, payment = await asked(moving)
        await asyncio.to_thread(moving_stack.paidup, "clock", "advance", "23h")
        await asyncio.sleep(6)
        assert (await moving.get(f"/v1/payments/{payment['id']}"))["status"] == "requires_action"
        await asyncio.to_thread(moving_stack.paidup, "clock", "advance", "61m")
        ended = await moving.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] == "expired")
        assert (ended["reason"], ended["reconciliation"], ended["allocations"]) == ("not_confirmed", None, [])
        await moving.until(f"/v1/invoices/{invoice}", lambda i: i["payable_now_minor"] == 10_000)

    async def test_quote_names_the_payment_that_holds(self, moving: Client) -> None:
        invoice, payment = await asked(moving)
        method = {"method_id": payment["method_id"]}
        for choice in ({"invoices": [{"invoice_id": invoice}]}, {"all": True, "currency": "USD"}):
            problem = await moving.until_quoted(payment["customer_id"], lambda answer: slug(answer), **method, **choice)
            assert (problem["status"], problem["payment_id"]) == (422, payment["id"])
            assert f"Payment {payment['id']} waits for the payer" in problem["detail"]
        await moving.make(f"/v1/payments/{payment['id']}/cancel", expect=(202,))
        await moving.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] == "cancelled")

    async def test_cancelling_frees_the_invoice_at_once(self, moving: Client, moving_stack: LocalStack) -> None:
        invoice, payment = await asked(moving)
        path = f"/v1/payments/{payment['id']}"
        scopes = ["payments:read", "payments:write"]
        mine, other = payment["customer_id"], await moving.customer()
        keys = [
            await moving.make("/v1/api-keys", {"name": "portal", "scopes": scopes, "customer_id": whose})
            for whose in (mine, other)
        ]
        async with Client(moving_stack.url, keys[1]["key"]) as stranger:
            assert (await stranger.ask("POST", f"{path}/cancel"))[0] == 404
        async with Client(moving_stack.url, keys[0]["key"]) as payer:
            first = await payer.make(f"{path}/cancel", expect=(202,))
            assert (first["status"], first["next_action_url"], first["act_by"]) == ("requires_action", None, None)
            second = await payer.make(f"{path}/cancel", expect=(202,))
            assert second["reason"] in (None, "payer_cancelled")
        ended = await moving.until(path, lambda p: p["status"] == "cancelled")
        assert (ended["reason"], ended["reconciliation"], ended["allocations"]) == ("payer_cancelled", None, [])
        await moving.until(f"/v1/invoices/{invoice}", lambda i: i["payable_now_minor"] == 10_000)
        assert await moving.make(f"{path}/cancel", expect=(202,)) == ended
        timeline = await moving.get(f"{path}/timeline")
        assert timeline["items"][-1]["text"].startswith("It was cancelled before the payer confirmed it with the bank")
        assert timeline["next_step"].startswith("Pay what is still owed")

    async def test_confirmed_payment_cannot_be_cancelled(self, moving: Client, moving_stack: LocalStack) -> None:
        invoice, payment = await asked(moving)
        await answer(moving_stack, payment)
        status, problem = await moving.ask("POST", f"/v1/payments/{payment['id']}/cancel")
        assert status == 202 or (status, problem["type"]) == (409, "urn:paidup:problem:not-cancellable")
        await moving.paid(invoice)
        status, problem = await moving.ask("POST", f"/v1/payments/{payment['id']}/cancel")
        assert (status, problem["type"]) == (409, "urn:paidup:problem:not-cancellable")
        assert "refund" in problem["detail"]

    async def test_absent_payer_is_a_decline(self, moving: Client) -> None:
        customer = await moving.customer()
        invoice, method = await moving.invoice(customer), await moving.method(customer, ASKS)
        payment = await moving.pay(await moving.quote(customer, method, invoice))
        done = await moving.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] == "declined")
        assert done["reason"] == "authentication_required"
