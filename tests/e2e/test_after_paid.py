"""After Paid: refunds, returns and chargebacks, over the public API on the real stack."""

import asyncio
from typing import Any

from contracts.ids import new_id
from tests.kit.client import Client, parts
from tests.kit.stack import LocalStack


async def paid(client: Client, token: str = "pm_card_visa", minor: int = 10_000) -> tuple[str, str, Any]:
    """Customer, invoice and payment, matched and settled."""
    customer = await client.customer()
    invoice, method = await client.invoice(customer, minor), await client.method(customer, token)
    payment = await client.pay(await client.quote(customer, method, invoice))
    await client.paid(invoice)
    return customer, invoice, await client.get(f"/v1/payments/{payment['id']}")


async def intent_of(stack: LocalStack, payment_id: str) -> str:
    return (await asyncio.to_thread(stack.intents))[payment_id]


async def reversed_at(client: Client, payment_id: str, minor: int) -> Any:
    return await client.until(f"/v1/payments/{payment_id}", lambda p: p["reversed_minor"] == minor)


class TestRefunds:
    async def test_full_refund_reopens_the_invoice(self, client: Client) -> None:
        _, invoice, payment = await paid(client)
        refund = await client.refund(payment["id"])
        assert (refund["kind"], refund["amount_minor"], refund["surcharge_minor"]) == ("refund", 10_000, 300)
        done = await reversed_at(client, payment["id"], 10_300)
        assert [(each["id"], each["status"]) for each in done["reversals"]] == [(refund["id"], "succeeded")]
        again = await client.until(f"/v1/invoices/{invoice}", lambda i: i["status"] == "open")
        assert (again["balance_minor"], again["due_on"]) == (10_000, "2026-02-01")
        assert payment["gone_back"] == []
        after = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["gone_back"])
        assert (after["allocations"], parts(after["gone_back"])) == ([], [(invoice, 10_000)])

    async def test_part_includes_its_share_of_surcharge(self, client: Client) -> None:
        _, invoice, payment = await paid(client)
        refund = await client.refund(payment["id"], 2_500)
        assert (refund["surcharge_minor"], refund["total_minor"]) == (75, 2_575)
        await reversed_at(client, payment["id"], 2_575)
        owed = await client.until(f"/v1/invoices/{invoice}", lambda i: i["balance_minor"] == 2_500)
        assert (owed["status"], owed["settled_minor"]) == ("open", 7_500)
        await client.refund(payment["id"], 1_500)
        after = await client.until(
            f"/v1/payments/{payment['id']}", lambda p: parts(p["allocations"]) == [(invoice, 6_000)]
        )
        assert parts(after["gone_back"]) == [(invoice, 4_000)]
        (listed,) = (await client.get(f"/v1/payments?customer_id={after['customer_id']}"))["items"]
        assert listed["gone_back"] == after["gone_back"]

    async def test_cheque_counts_as_refunded_at_once(self, client: Client) -> None:
        customer = await client.customer()
        invoice = await client.invoice(customer)
        payment = await client.receive(customer, 12_000, invoice)
        await client.paid(invoice)
        refund = await client.refund(payment["id"], 3_000)
        assert refund["status"] == "succeeded"
        owed = await client.until(f"/v1/invoices/{invoice}", lambda i: i["balance_minor"] == 1_000)
        assert owed["status"] == "open"
        after = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["gone_back"])
        assert (after["credit_minor"], parts(after["gone_back"])) == (0, [(invoice, 1_000)])  # credit went first

    async def test_one_key_refunds_once(self, client: Client) -> None:
        _, _, payment = await paid(client)
        key = new_id()
        answers = await asyncio.gather(*(client.refund(payment["id"], 1_000, key) for _ in range(10)))
        assert len({answer["id"] for answer in answers}) == 1
        await reversed_at(client, payment["id"], 1_030)
        status, problem = await client.ask(
            "POST", f"/v1/payments/{payment['id']}/refunds", {"reason": "other"}, **{"Idempotency-Key": key}
        )
        assert (status, problem["type"].rpartition(":")[2]) == (422, "idempotency-key-reused")

    async def test_many_at_once_refund_once(self, client: Client) -> None:
        payments = [(await paid(client, "pm_card_visa_debit"))[2]["id"] for _ in range(5)]
        body = {"reason": "twice"}
        asked = [
            client.ask("POST", f"/v1/payments/{one}/refunds", body, **{"Idempotency-Key": new_id()})
            for one in payments
            for _ in range(4)
        ]
        statuses = [status for status, _ in await asyncio.gather(*asked)]
        assert sorted(statuses) == [202] * 5 + [409] * 15
        for one in payments:
            await reversed_at(client, one, 10_000)

    async def test_lost_reply_refunds_once(self, client: Client, stack: LocalStack) -> None:
        _, _, payment = await paid(client)
        await asyncio.to_thread(stack.sandbox, "rules", drop_replies=1.0)
        try:
            await client.refund(payment["id"], 5_000)
            await reversed_at(client, payment["id"], 5_150)
        finally:
            await asyncio.to_thread(stack.sandbox, "rules", drop_replies=0)
        await asyncio.sleep(1)
        assert (await client.get(f"/v1/payments/{payment['id']}"))["reversed_minor"] == 5_150

    async def test_failed_refund_becomes_credit(self, client: Client) -> None:
        _, invoice, payment = await paid(client, "pm_card_refundFail")
        refund = await client.refund(payment["id"])
        path = f"/v1/payments/{payment['id']}"
        done = await client.until(
            path, lambda p: p["reversals"][0]["status"] == "failed" and p["credit_minor"] == 10_000
        )
        assert (done["reversals"][0]["id"], done["reversed_minor"], done["allocations"]) == (refund["id"], 0, [])
        assert (await client.get(f"/v1/invoices/{invoice}"))["status"] == "open"
        texts = [each["text"] for each in (await client.get(f"{path}/timeline"))["items"]]
        assert texts[-2:] == [
            "USD 103.00 was given back.",
            "USD 103.00 that was given back did not arrive: "
            "USD 100.00 is the customer's credit until it is given again.",
        ]
        waiting = (await client.get("/v1/reconciliation/exceptions?state=open&class=missing_there&limit=100"))["items"]
        assert [one["amount_minor"] for one in waiting if one["payment_id"] == payment["id"]] == [10_300]
        again = await client.refund(payment["id"], 1_000)
        await client.until(
            path, lambda p: p["reversals"][-1]["id"] == again["id"] and p["reversals"][-1]["status"] != "requested"
        )


class TestChargebacks:
    async def test_only_a_lost_one_reverses(self, client: Client, stack: LocalStack) -> None:
        _, invoice, payment = await paid(client)
        intent = await intent_of(stack, payment["id"])
        dispute = await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/dispute")
        held = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["disputed_minor"] == 10_300)
        assert held["reversed_minor"] == 0
        assert (await client.get(f"/v1/invoices/{invoice}"))["status"] == "paid"
        status, problem = await client.ask(
            "POST", f"/v1/payments/{payment['id']}/refunds", {"reason": "r"}, **{"Idempotency-Key": new_id()}
        )
        assert (status, problem["type"].rpartition(":")[2]) == (409, "dispute-open")
        why = f"/v1/invoices/{invoice}/timeline"
        await client.until(why, lambda t: t["next_step"] == "The payer's bank decides a chargeback of USD 103.00.")
        await asyncio.to_thread(stack.sandbox, f"disputes/{dispute['id']}/lose")
        lost = await reversed_at(client, payment["id"], 10_300)
        assert (lost["disputed_minor"], lost["reversals"][0]["kind"]) == (0, "chargeback")
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["status"] == "open")
        assert [item["text"] for item in (await client.get(why))["items"]][-3:] == [
            "The payer's bank opened a chargeback of a payment, and holds USD 103.00 until it is decided.",
            "A chargeback was lost: USD 100.00 of the payment is gone.",
            "USD 100.00 of it went back: the invoice is owed again.",
        ]

    async def test_won_one_leaves_the_invoice_paid(self, client: Client, stack: LocalStack) -> None:
        _, invoice, payment = await paid(client)
        intent = await intent_of(stack, payment["id"])
        dispute = await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/dispute")
        await client.until(f"/v1/payments/{payment['id']}", lambda p: p["disputed_minor"] == 10_300)
        await asyncio.to_thread(stack.sandbox, f"disputes/{dispute['id']}/win")
        won = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["disputed_minor"] == 0)
        assert (won["reversed_minor"], won["reversals"][0]["status"]) == (0, "won")
        assert (await client.get(f"/v1/invoices/{invoice}"))["status"] == "paid"


class TestVoidedReceipt:
    async def test_counts_on_no_day(self, client: Client) -> None:
        customer = await client.customer()
        first, second = [await client.invoice(customer, minor) for minor in (6_000, 4_000)]
        error = await client.receive(customer, 10_000, first)
        await client.paid(first)
        await client.until(f"/v1/payments/{error['id']}", lambda p: p["credit_minor"] == 4_000)
        chosen = {"invoices": [{"invoice_id": second}], "use_credit": True}
        await client.pay(await client.until_quoted(customer, lambda quote: "id" in quote, **chosen), accept=None)
        await client.paid(second)
        await client.make(f"/v1/payments/{error['id']}/void", {"reason": "another's"}, key=new_id())
        for invoice in (first, second):
            await client.until(f"/v1/invoices/{invoice}", lambda one: one["status"] == "open")
        for day in ("2026-03-01", "2026-05-01", ""):
            aging = await client.get(f"/v1/customers/{customer}/aging{day and '?as_of=' + day}")
            (usd,) = aging["currencies"]
            assert (usd["outstanding_minor"], usd["credits_minor"]) == (10_000, 0), day

    async def test_check_money_passes_afterwards(self, stack: LocalStack) -> None:
        found = await asyncio.to_thread(stack.paidup_json, "check-money", check=False)
        assert found["violations"] == []
