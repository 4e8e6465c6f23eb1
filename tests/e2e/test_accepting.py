"""What the provider took instead of what was asked waits for a person, and is the payment once it is accepted."""

import asyncio
from typing import Any

from tests.kit.client import Client
from tests.kit.stack import LocalStack


async def taken(client: Client, stack: LocalStack, minor: int) -> tuple[list[str], str, Any]:
    """Invoices of 60.00 and 40.00 paid by a debit that takes so much: invoices, payment, and the open exception."""
    customer = await client.customer()
    invoices = [await client.invoice(customer, owed) for owed in (6_000, 4_000)]
    method = await client.method(customer, "pm_usBankAccount_processing")
    payment = await client.pay(await client.quote(customer, method, *invoices))
    path = f"/v1/payments/{payment['id']}"
    await client.until(path, lambda p: p["status"] == "processing")
    intent = (await asyncio.to_thread(stack.intents))[payment["id"]]
    await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/amend", amount=minor)
    await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/clear")
    await client.until(path, lambda p: p["reconciliation"] == "mismatch")
    waiting = (await client.get("/v1/reconciliation/exceptions?state=open&class=wrong_amount&limit=100"))["items"]
    (exception,) = (one for one in waiting if one["payment_id"] == payment["id"])
    return invoices, payment["id"], exception


class TestAccepting:
    async def test_less_leaves_the_rest_owed(self, client: Client, stack: LocalStack) -> None:
        (first, second), payment, exception = await taken(client, stack, 7_500)
        assert (await client.get(f"/v1/invoices/{first}"))["status"] == "in_progress"
        resolve = f"/v1/reconciliation/exceptions/{exception['id']}/resolve"
        status, problem = await client.ask("POST", resolve, {"action": "post", "reason": "theirs"})
        assert (status, problem["type"].rpartition(":")[2]) == (422, "nothing-to-post")
        status, problem = await client.ask("POST", resolve, {"action": "dismiss", "reason": "never mind"})
        assert (status, problem["type"].rpartition(":")[2]) == (409, "holds-invoices")
        decision = {"action": "accept", "reason": "the bank took less, and the rest is asked for again"}
        for _ in range(2):
            status, resolved = await client.ask("POST", resolve, decision)
            assert (status, resolved["state"]) == (200, "resolved")
        await client.paid(first)
        owed = await client.until(f"/v1/invoices/{second}", lambda i: i["payable_now_minor"] == 2_500)
        assert (owed["status"], owed["balance_minor"]) == ("open", 2_500)
        done = await client.until(f"/v1/payments/{payment}", lambda p: p["allocations"])
        assert (done["amount_minor"], done["reconciliation"], done["credit_minor"]) == (7_500, "matched", 0)

    async def test_more_becomes_credit(self, client: Client, stack: LocalStack) -> None:
        invoices, payment, exception = await taken(client, stack, 12_000)
        resolve = f"/v1/reconciliation/exceptions/{exception['id']}/resolve"
        status, _ = await client.ask("POST", resolve, {"action": "accept", "reason": "they paid more"})
        assert status == 200
        for invoice in invoices:
            await client.paid(invoice)
        await client.until(f"/v1/payments/{payment}", lambda p: p["credit_minor"] == 2_000)
        refund = await client.refund(payment, 2_000)
        assert refund["id"]

    async def test_earlier_reversal_takes_effect(self, client: Client, stack: LocalStack) -> None:
        invoices, payment, exception = await taken(client, stack, 7_500)
        intent = (await asyncio.to_thread(stack.intents))[payment]
        await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/return", code="R02")
        resolve = f"/v1/reconciliation/exceptions/{exception['id']}/resolve"
        status, _ = await client.ask("POST", resolve, {"action": "accept", "reason": "nothing is left of it"})
        assert status == 200
        done = await client.until(f"/v1/payments/{payment}", lambda p: p["reversed_minor"] == 7_500)
        for invoice in invoices:
            await client.until(f"/v1/invoices/{invoice}", lambda i: i["payable_now_minor"] == i["total_minor"])
        (method,) = (await client.get(f"/v1/customers/{done['customer_id']}/payment-methods"))["items"]
        assert not method["usable"]

    async def test_check_money_passes_afterwards(self, stack: LocalStack) -> None:
        found = await asyncio.to_thread(stack.paidup_json, "check-money", check=False)
        assert found["violations"] == []
