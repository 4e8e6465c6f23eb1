"""Choosing what to pay: everything of a currency, or an amount that goes to the oldest first."""

import asyncio
from typing import Any

import pytest

from contracts.ids import new_id
from tests.kit.client import Client, slug
from tests.kit.stack import LocalStack

DEBIT = "pm_card_visa_debit"


async def choose(client: Client, customer: str, method: str, **choice: Any) -> tuple[int, Any]:
    return await client.ask("POST", "/v1/quotes", {"customer_id": customer, "method_id": method, **choice})


async def owing(client: Client, *days: str, **more: Any) -> tuple[str, str, list[str]]:
    """A customer with a debit card and invoices of 100.00 due on these days, all known to payments."""
    customer = await client.customer()
    method = await client.method(customer, DEBIT)
    invoices = [await client.invoice(customer, due_on=day, **more) for day in days]
    await client.quote(customer, method, *invoices)
    return customer, method, invoices


class TestPayAll:
    async def test_pays_every_invoice_of_the_currency(self, client: Client) -> None:
        customer, method, dollars = await owing(client, "2026-02-01", "2026-01-15")
        euros = await client.invoice(customer, currency="EUR")
        status, quote = await choose(client, customer, method, all=True, currency="USD")
        assert (status, quote["amount_minor"], quote["credit_minor"]) == (201, 20_000, 0)
        assert [part["invoice_id"] for part in quote["allocations"]] == [dollars[1], dollars[0]]
        await client.pay(quote)
        for invoice in dollars:
            await client.paid(invoice)
        assert (await client.get(f"/v1/invoices/{euros}"))["status"] == "open"

    async def test_later_invoice_stays_open(self, client: Client) -> None:
        customer, method, (first,) = await owing(client, "2026-02-01")
        _, quote = await choose(client, customer, method, all=True, currency="USD")
        later = await client.invoice(customer)
        await client.quote(customer, method, later)
        await client.pay(quote)
        await client.paid(first)
        assert (await client.get(f"/v1/invoices/{later}"))["status"] == "open"

    async def test_changed_invoice_makes_a_new_quote(self, client: Client) -> None:
        customer, method, (first, _) = await owing(client, "2026-01-15", "2026-02-01")
        _, quote = await choose(client, customer, method, all=True, currency="USD")
        await client.receive(customer, 4_000, first)
        every = {"method_id": method, "all": True, "currency": "USD"}
        await client.until_quoted(customer, lambda now: now.get("amount_minor") == 16_000, **every)
        body = {"quote_id": quote["id"], "accept_surcharge": True}
        status, problem = await client.ask("POST", "/v1/payments", body, **{"Idempotency-Key": quote["id"]})
        assert (status, problem["new_quote"]["amount_minor"]) == (409, 16_000)
        await client.pay(problem["new_quote"])
        await client.paid(first)


class TestAmount:
    async def test_oldest_first_and_the_rest_is_credit(self, client: Client) -> None:
        customer, method, (newer, older) = await owing(client, "2026-02-01", "2026-01-15")
        status, part = await choose(client, customer, method, amount_minor=12_000, currency="USD")
        assert (status, part["credit_minor"]) == (201, 0)
        assert [(each["invoice_id"], each["amount_minor"]) for each in part["allocations"]] == [
            (older, 10_000),
            (newer, 2_000),
        ]
        _, quote = await choose(client, customer, method, amount_minor=25_000, currency="USD")
        assert (quote["total_minor"], quote["credit_minor"]) == (25_000, 5_000)
        payment = await client.pay(quote)
        for invoice in (older, newer):
            await client.paid(invoice)
        done = await client.until(f"/v1/payments/{payment['id']}", lambda p: p["credit_minor"] == 5_000)
        assert done["amount_minor"] == 25_000
        (aging,) = (await client.get(f"/v1/customers/{customer}/aging"))["currencies"]
        assert (aging["outstanding_minor"], aging["credits_minor"]) == (0, 5_000)

    async def test_credit_pays_an_invoice_issued_meanwhile(self, client: Client) -> None:
        customer, method, (first,) = await owing(client, "2026-02-01")
        _, quote = await choose(client, customer, method, amount_minor=15_000, currency="USD")
        assert quote["credit_minor"] == 5_000
        second = await client.invoice(customer, 4_000, due_on="2026-01-15")
        await client.quote(customer, method, second)  # payments knows it
        body = {"quote_id": quote["id"], "accept_surcharge": True}
        status, problem = await client.ask("POST", "/v1/payments", body, **{"Idempotency-Key": quote["id"]})
        assert (status, slug(problem), problem["new_quote"]["credit_minor"]) == (
            409,
            "quote-stale",
            1_000,
        )
        await client.pay(problem["new_quote"])
        for invoice in (first, second):
            await client.paid(invoice)

    async def test_money_on_account_becomes_credit(self, client: Client) -> None:
        customer = await client.customer()
        method = await client.method(customer, DEBIT)
        status, quote = await choose(client, customer, method, amount_minor=5_000, currency="USD")
        assert (status, quote["credit_minor"], quote["allocations"]) == (201, 5_000, [])
        payment = await client.pay(quote)
        await client.until(f"/v1/payments/{payment['id']}", lambda p: p["credit_minor"] == 5_000)


class TestQuote:
    async def test_says_what_was_paid_meanwhile(self, client: Client) -> None:
        customer, method, (invoice,) = await owing(client, "2026-02-01")
        named = await client.quote(customer, method, invoice)
        _, every = await choose(client, customer, method, all=True, currency="USD")
        await client.pay(await client.quote(customer, method, invoice))
        again = {"method_id": method, "invoices": [{"invoice_id": invoice}]}
        await client.until_quoted(customer, lambda answer: slug(answer) == "invoice-closed", **again)
        for quote in (named, every):
            body = {"quote_id": quote["id"], "accept_surcharge": True}
            status, problem = await client.ask("POST", "/v1/payments", body, **{"Idempotency-Key": quote["id"]})
            assert (status, problem["new_quote"]) == (409, None)
            assert problem["detail"] == (
                "This quote no longer fits what is owed. Nothing of it can be paid any more: its invoices are paid. "
                "Make a new quote for others."
            )

    async def test_needs_one_choice_and_its_currency(self, client: Client) -> None:
        customer, method, (invoice,) = await owing(client, "2026-02-01")
        for choice, why in (
            ({}, "choose-one"),
            ({"all": True, "currency": "USD", "invoices": [{"invoice_id": invoice}]}, "choose-one"),
            ({"all": True}, "currency-missing"),
            ({"amount_minor": 100}, "currency-missing"),
            ({"all": True, "currency": "JPY"}, "nothing-payable"),
            ({"invoices": [{"invoice_id": invoice}], "currency": "EUR"}, "other-currency"),
        ):
            status, problem = await choose(client, customer, method, **choice)
            assert (status, slug(problem)) == (422, why)

    async def test_is_shown_to_its_customer_alone(self, client: Client, stack: LocalStack) -> None:
        customer, method, _ = await owing(client, "2026-01-15", "2026-02-01")
        _, quote = await choose(client, customer, method, all=True, currency="USD")
        assert await client.get(f"/v1/quotes/{quote['id']}") == quote
        assert (await client.ask("GET", f"/v1/quotes/{new_id()}"))[0] == 404
        asked = {"name": "other", "scopes": ["payments:read"], "customer_id": await client.customer()}
        key = await client.make("/v1/api-keys", asked)
        async with Client(stack.url, key["key"]) as other:
            assert (await other.ask("GET", f"/v1/quotes/{quote['id']}"))[0] == 404

    async def test_cancelled_payment_has_a_new_quote(
        self,
        client: Client,
    ) -> None:
        customer, method, (first, second) = await owing(client, "2026-01-15", "2026-02-01")
        _, quote = await choose(client, customer, method, all=True, currency="USD")
        body = {"quote_id": quote["id"], "accept_surcharge": True}
        cheque, (status, answer) = await asyncio.gather(
            client.receive(customer, 10_000, first),
            client.ask("POST", "/v1/payments", body, **{"Idempotency-Key": new_id()}),
        )
        if status == 202:
            ended = ("cancelled", "succeeded")
            done = await client.until(f"/v1/payments/{answer['id']}", lambda p: p["status"] in ended)
            assert done["status"] == "succeeded" or done["reason"] == "invoice_changed"
            anew = done["new_quote_id"]
        else:  # the cheque was quicker
            assert status == 409
            anew = answer["new_quote"]["id"]
        if anew is not None:
            closed = {"method_id": method, "invoices": [{"invoice_id": first}]}
            await client.until_quoted(customer, lambda answer: slug(answer) == "invoice-closed", **closed)
            status = 409
            while status == 409:
                asked = {"quote_id": anew}
                status, answer = await client.ask("POST", "/v1/payments", asked, **{"Idempotency-Key": anew})
                anew = answer["new_quote"]["id"] if status == 409 else anew
            assert (status, answer["amount_minor"]) == (202, 10_000)
            await client.paid(second)
        assert cheque["status"] == "succeeded"


class TestMethodOfCurrency:
    @pytest.mark.parametrize("currency", ["EUR", "GBP", "JPY", "KWD"])
    async def test_bank_account_pays_dollars_alone(self, client: Client, currency: str) -> None:
        customer = await client.customer()
        account, card = await client.method(customer, "pm_usBankAccount_success"), await client.method(customer)
        invoice = await client.invoice(customer, currency=currency)
        await client.heard("/v1/payments", invoice)
        for choice in (
            {"invoices": [{"invoice_id": invoice}]},
            {"all": True, "currency": currency},
            {"amount_minor": 5000, "currency": currency},
        ):
            wish = {"customer_id": customer, "method_id": account, **choice}
            status, problem = await client.ask("POST", "/v1/quotes", wish)
            assert (status, slug(problem)) == (422, "method-not-for-currency"), problem
            assert [one["id"] for one in problem["methods"]] == [card]
            assert problem["errors"][0]["field"] == "method_id"
            assert (await client.ask("POST", "/v1/quotes", {**wish, "method_id": card}))[0] == 201
        path = f"/v1/customers/{customer}/payment-methods"
        offered = (await client.get(f"{path}?currency={currency}"))["items"]
        assert [(one["id"], one["currencies"]) for one in offered] == [(card, None)]
        everything = {one["id"]: one["currencies"] for one in (await client.get(path))["items"]}
        assert everything == {account: ["USD"], card: None}
