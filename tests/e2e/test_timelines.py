"""Why: the timelines of a payment and of an invoice, from their events."""

import asyncio

from tests.kit.client import Client
from tests.kit.stack import LocalStack


class TestTimeline:
    async def test_explains_an_invoice_in_progress(self, client: Client, stack: LocalStack) -> None:
        await asyncio.to_thread(stack.sandbox, "rules", bank_clear_seconds=0)
        try:
            customer = await client.customer()
            invoice, method = await client.invoice(customer), await client.method(customer, "pm_usBankAccount_success")
            payment = await client.pay(await client.quote(customer, method, invoice))
            await client.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] == "processing")
            why = await client.get(f"/v1/invoices/{invoice}/timeline")
            assert (why["status"], [item["event"] for item in why["items"]]) == (
                "in_progress",
                ["InvoiceIssued", "InvoiceInProgress"],
            )
            (waits,) = why["under_way"]
            assert (waits["payment_id"], waits["amount_minor"]) == (payment["id"], 10_000)
            assert waits["expected_by"] in why["next_step"]
            of_payment = await client.get(f"/v1/payments/{payment['id']}/timeline")
            assert of_payment["next_step"] == f"The bank confirms by {of_payment['expected_by']}."
        finally:
            await asyncio.to_thread(stack.sandbox, "rules", bank_clear_seconds=1)

    async def test_shows_every_step_and_its_reversal(self, client: Client) -> None:
        customer = await client.customer()
        invoice, method = await client.invoice(customer), await client.method(customer)
        payment = await client.pay(await client.quote(customer, method, (invoice, 4_000)))
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["settled_minor"] == 4_000)
        await client.receive(customer, 6_000, invoice)
        await client.paid(invoice)
        await client.refund(payment["id"])
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["status"] == "open")
        why = await client.get(f"/v1/invoices/{invoice}/timeline")
        assert [item["text"] for item in why["items"]] == [
            "The invoice was issued.",
            "A payment of USD 40.00 is under way.",
            "USD 40.00 was paid.",
            "USD 60.00 was paid: the invoice is paid.",
            "USD 40.00 of a payment was given back.",
            "USD 40.00 of it went back: the invoice is owed again.",
        ]
        assert why["next_step"].startswith("It waits to be paid: it was due on 2026-02-01, ")
        timeline = await client.get(f"/v1/payments/{payment['id']}/timeline")
        assert [item["event"] for item in timeline["items"]] == [
            "PaymentSubmitted",
            "PaymentSucceeded",
            "PaymentReconciled",
            "PaymentRefundRequested",
            "PaymentReversed",
        ]
        assert [item["text"] for item in timeline["items"][-2:]] == [
            "A refund of USD 41.20 was asked of the provider.",
            "USD 41.20 was given back.",
        ]
        assert sorted(item["at"] for item in timeline["items"]) == [item["at"] for item in timeline["items"]]
        assert (
            timeline["next_step"]
            == "All of it went back: its invoices are owed again. Pay what is still owed of them anew."
        )

    async def test_explains_a_failed_payment(self, client: Client) -> None:
        customer = await client.customer()
        for token, accept, says, to_do in (
            (
                "pm_card_visa_chargeDeclinedStolenCard",
                True,
                "The payment was declined: the card was reported stolen.",
                "another",
            ),
            (
                "pm_card_authenticationRequired",
                True,
                "The payment was declined: the bank wants the payer",
                "return_url",
            ),
            ("pm_card_visa", False, "The surcharge was declined, so nothing was charged.", "accept the surcharge"),
        ):
            invoice = await client.invoice(customer)
            method = await client.method(customer, token)
            payment = await client.pay(await client.quote(customer, method, invoice), accept=accept)
            path = f"/v1/payments/{payment['id']}"
            await client.until(path, lambda p: p["status"] in ("declined", "cancelled"))
            await client.until(f"/v1/invoices/{invoice}", lambda i: i["payable_now_minor"] == 10_000)
            timeline = await client.get(f"{path}/timeline")
            assert timeline["items"][-1]["text"].startswith(says), timeline
            assert to_do in timeline["next_step"]

    async def test_is_for_its_customer_alone(self, client: Client, stack: LocalStack) -> None:
        mine, other = await client.customer(), await client.customer()
        invoice = await client.invoice(mine)
        payment = await client.receive(mine, 100)
        scopes = ["payments:read", "invoices:read"]
        made = await client.make("/v1/api-keys", {"name": "theirs", "customer_id": other, "scopes": scopes})
        async with Client(stack.url, made["key"]) as theirs:
            assert (await theirs.ask("GET", f"/v1/invoices/{invoice}/timeline"))[0] == 404
            assert (await theirs.ask("GET", f"/v1/payments/{payment['id']}/timeline"))[0] == 404
