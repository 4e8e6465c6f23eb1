"""Unapplied credit, ticked before cash: it is held with the invoices, pays first, and goes back last in, first out."""

import asyncio
from typing import Any

from tests.kit.client import Client, parts, slug
from tests.kit.stack import LocalStack

DEBIT = "pm_card_visa_debit"


async def with_credit(client: Client, credit: int, *minors: int) -> tuple[str, str, Any, list[str]]:
    """A customer with unapplied credit and invoices, all known to payments: customer, method, receipt, invoices."""
    customer = await client.customer()
    method = await client.method(customer, DEBIT)
    receipt = await client.receive(customer, credit, reference="too much")
    await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["credit_minor"] == credit)
    invoices = [await client.invoice(customer, minor) for minor in minors]
    every, owed = {"method_id": method, "all": True, "currency": "USD"}, sum(minors)
    quote = await client.until_quoted(customer, lambda quote: quote.get("amount_minor") == owed, **every)
    assert quote["credit_used_minor"] == 0
    await until_credit(client, customer, min(credit, owed), **every)
    return customer, method, receipt, invoices


async def quoted(client: Client, customer: str, method: str, **more: Any) -> Any:
    body = {"customer_id": customer, "method_id": method, "all": True, "currency": "USD", **more}
    status, quote = await client.ask("POST", "/v1/quotes", body)
    return quote if status == 201 else {"amount_minor": -1, "credit_used_minor": -1}


async def until_credit(client: Client, customer: str, minor: int, **choice: Any) -> Any:
    """The quote of a choice, once so much of it is paid by credit."""
    choice["use_credit"] = True
    return await client.until_quoted(customer, lambda quote: quote.get("credit_used_minor") == minor, **choice)


async def credits_of(client: Client, customer: str) -> int:
    (owed,) = (await client.get(f"/v1/customers/{customer}/aging"))["currencies"]
    return int(owed["credits_minor"])


class TestPayingByCredit:
    async def test_card_is_charged_the_rest(self, client: Client) -> None:
        customer, method, receipt, (first, second) = await with_credit(client, 6_000, 5_000, 7_000)
        quote = await quoted(client, customer, method, use_credit=True)
        assert (quote["amount_minor"], quote["credit_used_minor"], quote["total_minor"]) == (6_000, 6_000, 6_000)
        by_card = parts(quote["allocations"])
        by_credit = parts(quote["credit_allocations"])
        assert (by_card, by_credit) == ([(second, 6_000)], [(first, 5_000), (second, 1_000)])
        payment = await client.pay(quote)
        await client.paid(first)
        await client.paid(second)
        done = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["reconciliation"] == "matched")
        assert (done["total_minor"], done["credit_used_minor"]) == (6_000, 6_000)
        assert parts(done["allocations"]) == [(second, 6_000)]
        assert parts(done["credit_allocations"]) == by_credit
        spent = await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["credit_minor"] == 0)
        assert {part["invoice_id"]: part["amount_minor"] for part in spent["allocations"]} == {
            first: 5_000,
            second: 1_000,
        }
        assert await credits_of(client, customer) == 0

    async def test_credit_alone_makes_no_charge(self, client: Client) -> None:
        customer, method, _, (invoice,) = await with_credit(client, 9_000, 4_000)
        quote = await quoted(client, customer, method, use_credit=True)
        assert (quote["total_minor"], quote["credit_used_minor"]) == (0, 4_000)
        payment = await client.pay(quote)
        await client.paid(invoice)
        done = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["reconciliation"] == "matched")
        assert (done["status"], done["amount_minor"], done["return_window_until"]) == ("succeeded", 0, None)
        timeline = await client.get(f"/v1/payments/{payment['id']}/timeline")
        assert [item["text"] for item in timeline["items"]] == [
            "The payment was confirmed.",
            "Credit paid it; nothing was charged.",
        ]
        path, key = f"/v1/payments/{payment['id']}/refunds", {"Idempotency-Key": quote["id"]}
        status, problem = await client.ask("POST", path, {"reason": "r"}, **key)
        assert (status, problem["type"]) == (409, "urn:paidup:problem:paid-by-credit")
        assert await credits_of(client, customer) == 5_000

    async def test_credit_alone_needs_no_method(self, client: Client) -> None:
        customer, _, receipt, (invoice, other) = await with_credit(client, 9_000, 4_000, 6_000)
        wish = {"customer_id": customer, "invoices": [{"invoice_id": invoice}], "use_credit": True}
        quote, unused = [await client.make("/v1/quotes", wish) for _ in range(2)]
        assert (quote["method_id"], quote["total_minor"], quote["credit_used_minor"]) == (None, 0, 4_000)
        payment = await client.pay(quote, accept=None)
        await client.paid(invoice)
        done = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["reconciliation"] == "matched")
        assert (done["status"], done["method_id"], done["way"]) == ("succeeded", None, "collect")
        assert parts(done["credit_allocations"]) == [(invoice, 4_000)]
        timeline = await client.get(f"/v1/payments/{payment['id']}/timeline")
        assert timeline["items"][-1]["text"] == "Credit paid it; nothing was charged."
        await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["credit_minor"] == 5_000)
        assert await credits_of(client, customer) == 5_000
        left = "1000 minor units of USD are left to be paid by a method"
        for more in ({"invoices": [{"invoice_id": other}]}, {"all": True, "currency": "USD"}):
            problem = await client.until_quoted(
                customer, lambda answer: left in answer.get("detail", ""), use_credit=True, **more
            )
            assert (problem["status"], slug(problem)) == (422, "method-needed")
            assert [error["field"] for error in problem["errors"]] == ["method_id"]
        body, key = {"quote_id": unused["id"]}, {"Idempotency-Key": unused["id"]}
        status, problem = await client.ask("POST", "/v1/payments", body, **key)  # its invoice is paid meanwhile
        assert (status, problem["new_quote"]) == (409, None)
        assert "its invoices are paid" in problem["detail"]

    async def test_quote_shows_what_credit_is_left(self, client: Client) -> None:
        customer, _, receipt, (invoice, other) = await with_credit(client, 4_000, 4_000, 3_000)
        one, two = [
            await client.make(
                "/v1/quotes", {"customer_id": customer, "invoices": [{"invoice_id": each}], "use_credit": True}
            )
            for each in (invoice, other)
        ]
        await client.pay(two)
        await client.paid(other)
        await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["credit_minor"] == 1_000)
        again = {"invoices": [{"invoice_id": invoice}], "use_credit": True}
        await client.until_quoted(customer, lambda answer: slug(answer) == "method-needed", **again)
        key = {"Idempotency-Key": one["id"]}
        status, problem = await client.ask("POST", "/v1/payments", {"quote_id": one["id"]}, **key)
        assert (status, problem["type"], problem["new_quote"]) == (409, "urn:paidup:problem:quote-stale", None)
        left = "Credit pays 1000 minor units of it; 3000 minor units of USD are left"
        assert problem["detail"].startswith(f"This quote is of credit that was used meanwhile. {left}")
        assert (await client.get(f"/v1/invoices/{invoice}"))["payable_now_minor"] == 4_000

    async def test_declined_card_releases_the_credit(self, client: Client) -> None:
        customer, _, _, (invoice,) = await with_credit(client, 1_000, 4_000)
        bad = await client.method(customer, "pm_card_visa_chargeDeclined")
        payment = await client.pay(await quoted(client, customer, bad, use_credit=True))
        done = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] == "declined")
        assert (done["allocations"], done["credit_allocations"]) == ([], [])
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["payable_now_minor"] == 4_000)
        await until_credit(client, customer, 1_000, method_id=bad, all=True, currency="USD")

    async def test_two_at_once_use_it_once(self, client: Client) -> None:
        customer, method, _, (first, second) = await with_credit(client, 4_000, 4_000, 4_000)
        wishes = [
            {"customer_id": customer, "method_id": method, "invoices": [{"invoice_id": one}], "use_credit": True}
            for one in (first, second)
        ]
        quotes = [await client.make("/v1/quotes", wish) for wish in wishes]
        payments = await asyncio.gather(*(client.pay(quote) for quote in quotes))
        done = [
            await client.until(f"/v1/payments/{one['id']}", lambda p: p["status"] in ("succeeded", "cancelled"))
            for one in payments
        ]
        assert sorted(one["status"] for one in done) == ["cancelled", "succeeded"]
        assert next(one for one in done if one["status"] == "cancelled")["new_quote_id"]
        (paid,) = next(one for one in done if one["status"] == "succeeded")["credit_allocations"]
        await client.paid(paid["invoice_id"])
        assert await credits_of(client, customer) == 0


class TestCreditGoesBack:
    async def test_newest_first(self, client: Client) -> None:
        customer, method, receipt, (invoice,) = await with_credit(client, 5_000, 3_000)
        await client.pay(await quoted(client, customer, method, use_credit=True))
        await client.paid(invoice)
        await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["credit_minor"] == 2_000)
        await client.refund(receipt["id"], 3_000)
        owed = await client.until(f"/v1/invoices/{invoice}", lambda i: i["balance_minor"] == 1_000)
        assert owed["status"] == "open"
        assert await credits_of(client, customer) == 0

    async def test_voided_receipt_is_shown_on_its_payment(self, client: Client) -> None:
        customer, method, receipt, (invoice,) = await with_credit(client, 10_001, 10_001)
        payment = await client.pay(await quoted(client, customer, method, use_credit=True))
        path, part = f"/v1/payments/{payment['id']}", (invoice, 10_001)
        await client.paid(invoice)
        before = await client.until(path, lambda p: p["reconciliation"] == "matched")
        assert (parts(before["credit_allocations"]), before["gone_back"]) == ([part], [])
        assert (await client.get(f"{path}/timeline"))["next_step"] is None
        await client.make(f"/v1/payments/{receipt['id']}/void", {"reason": "another's"}, key=payment["id"])
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["balance_minor"] == 10_001)
        after = await client.until(path, lambda p: p["credit_allocations"] == [])
        assert (after["status"], parts(after["gone_back"])) == ("succeeded", [part])
        says = (
            "USD 100.01 of the credit for it went back: its invoices are owed again. "
            "Pay what is still owed of them anew."
        )
        assert (await client.get(f"{path}/timeline"))["next_step"] == says

    async def test_refund_leaves_the_cash_part(self, client: Client) -> None:
        customer, method, receipt, (invoice,) = await with_credit(client, 5_000, 8_000)
        payment = await client.pay(await quoted(client, customer, method, use_credit=True))
        path = f"/v1/payments/{payment['id']}"
        await client.paid(invoice)
        await client.until(f"/v1/payments/{receipt['id']}", lambda p: p["credit_minor"] == 0)
        await client.refund(receipt["id"], 2_000)
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["balance_minor"] == 2_000)
        after = await client.until(path, lambda p: p["gone_back"] != [])
        assert parts(after["gone_back"]) == [(invoice, 2_000)]
        assert parts(after["credit_allocations"]) == [(invoice, 3_000)]
        assert parts(after["allocations"]) == [(invoice, 3_000)]
        assert (await client.get(f"{path}/timeline"))["next_step"].startswith(
            "USD 20.00 of the credit for it went back"
        )

    async def test_unused_credit_is_not_shown_as_paid(self, client: Client, stack: LocalStack) -> None:
        customer, _, receipt, (invoice,) = await with_credit(client, 1_000, 4_000)
        method = await client.method(customer, "pm_card_authenticationRequired")
        quote = await quoted(client, customer, method, use_credit=True)
        assert quote["credit_used_minor"] == 1_000
        body = {"quote_id": quote["id"], "accept_surcharge": True, "return_url": "https://portal.example/paid"}
        payment = await client.make("/v1/payments", body, key=quote["id"])
        path = f"/v1/payments/{payment['id']}"
        waiting = await client.until(path, lambda p: p["status"] == "requires_action")
        assert parts(waiting["credit_allocations"]) == [(invoice, 1_000)]
        await client.refund(receipt["id"])
        path_of_aging = f"/v1/customers/{customer}/aging"
        await client.until(path_of_aging, lambda aging: aging["currencies"][0]["credits_minor"] == 0)
        intent = waiting["next_action_url"].rpartition("/")[2]
        await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/authenticate")
        await client.until(f"/v1/invoices/{invoice}", lambda i: i["balance_minor"] == 1_000)
        done = await client.until(path, lambda p: p["reconciliation"] == "matched" and p["credit_allocations"] == [])
        assert parts(done["allocations"]) == [(invoice, 3_000)]
        assert (done["status"], done["gone_back"]) == ("succeeded", [])
        says = "USD 10.00 of the credit for it was gone before it could pay. Pay what is still owed of its invoices."
        assert (await client.get(f"{path}/timeline"))["next_step"] == says

    async def test_check_money_passes_afterwards(self, stack: LocalStack) -> None:
        found = await asyncio.to_thread(stack.paidup_json, "check-money", check=False)
        assert found["violations"] == []
