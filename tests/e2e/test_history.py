"""The history of payments: filters, pages, and whose it is."""

from typing import Any

from tests.kit.client import Client
from tests.kit.stack import LocalStack


async def history(client: Client, **asked: Any) -> list[Any]:
    """All pages."""
    items: list[Any] = []
    cursor = ""
    while True:
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        page = await client.get(f"/v1/payments?{query}{cursor}")
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"&cursor={page['next_cursor']}"


class TestHistory:
    async def test_newest_first_page_by_page(self, client: Client) -> None:
        customer = await client.customer()
        payments = [await client.receive(customer, 100 + n) for n in range(5)]
        found = await history(client, customer_id=customer, limit=2)
        assert [each["id"] for each in found] == [each["id"] for each in reversed(payments)]

    async def test_filters_by_status_method_and_day(self, client: Client) -> None:
        customer = await client.customer()
        method = await client.method(customer, "pm_card_visa_debit")
        cheque = await client.receive(customer, 100)
        await client.until(f"/v1/payments/{cheque['id']}", lambda payment: payment["credit_minor"] == 100)
        invoice = await client.invoice(customer)
        card = await client.pay(await client.quote(customer, method, invoice))
        await client.paid(invoice)
        for asked, wanted in (
            ({"method": "offline"}, [cheque]),
            ({"method": method}, [card]),
            ({"status": "succeeded"}, [card, cheque]),
            ({"status": "declined"}, []),
            ({"from": "2020-01-01", "to": "9000-12-31"}, [card, cheque]),
            ({"to": "2020-01-01"}, []),
        ):
            found = await history(client, customer_id=customer, **asked)
            assert [each["id"] for each in found] == [each["id"] for each in wanted], asked

    async def test_customers_key_sees_its_own_alone(self, client: Client, stack: LocalStack) -> None:
        mine, other = await client.customer(), await client.customer()
        await client.receive(mine, 100)
        await client.receive(other, 100)
        key = await client.make("/v1/api-keys", {"name": "mine", "customer_id": mine, "scopes": ["payments:read"]})
        async with Client(stack.url, key["key"]) as theirs:
            assert {each["customer_id"] for each in await history(theirs)} == {mine}
            assert (await theirs.ask("GET", f"/v1/payments?customer_id={other}"))[0] == 404

    async def test_wrong_filter_or_cursor_is_named(self, client: Client) -> None:
        for query, field in (
            ("customer_id=x", "customer_id"), ("method=x", "method"), ("cursor=x", "cursor"),
            ("cursor=WyJhIl0", "cursor"),
            ("from=yesterday", "from"), ("status=paid", "status"), ("limit=0", "limit"),
            ("from=2026-11-26&to=2026-11-24", "to"),
        ):  # fmt: skip
            status, problem = await client.ask("GET", f"/v1/payments?{query}")
            assert (status, [fault["field"] for fault in problem["errors"]]) == (422, [field]), query


class TestFinding:
    """Payments are found by what their answers say of them."""

    async def test_by_invoice_number_and_kind(self, client: Client) -> None:
        customer = await client.customer()
        card = await client.method(customer, "pm_card_visa_debit")
        bad = await client.method(customer, "pm_card_visa_chargeDeclined")
        first, second = await client.invoice(customer), await client.invoice(customer)
        declined = await client.pay(await client.quote(customer, bad, first))
        await client.until(f"/v1/payments/{declined['id']}", lambda one: one["status"] == "declined")
        await client.until(f"/v1/invoices/{first}", lambda one: one["payable_now_minor"] == 10_000)
        chosen = {"method_id": card, "invoices": [{"invoice_id": first}]}
        paid = await client.pay(await client.until_quoted(customer, lambda quote: "id" in quote, **chosen))
        await client.paid(first)
        cheque = await client.receive(customer, 10_000)  # names no invoice: it pays what is left
        await client.paid(second)
        await client.until(f"/v1/payments/{cheque['id']}", lambda one: one["allocations"])
        for asked, wanted in (
            ({"invoice_id": first}, [paid, declined]),
            ({"invoice_id": second}, [cheque]),
            ({"invoice_id": second, "way": "collect"}, []),
            ({"invoice_id": customer}, []),
            ({"number": paid["number"]}, [paid]),
            ({"number": paid["number"].lower().replace("-", "%20")}, [paid]),
            ({"number": "P-00000"}, []),
            ({"customer_id": customer, "method_kind": "card"}, [paid, declined]),
            ({"customer_id": customer, "way": "receive"}, [cheque]),
            ({"customer_id": customer, "currency": "USD"}, [cheque, paid, declined]),
            ({"customer_id": customer, "currency": "EUR"}, []),
            ({"customer_id": customer, "received_from": "2026-03-01", "received_to": "2026-03-01"}, [cheque]),
            ({"customer_id": customer, "received_to": "2026-02-28"}, []),
            ({"customer_id": customer, "sort": "created_at"}, [declined, paid, cheque]),
        ):
            found = await history(client, **asked)
            assert [each["id"] for each in found] == [each["id"] for each in wanted], asked
        matched = await client.until(f"/v1/payments/{paid['id']}", lambda one: one["reconciliation"] == "matched")
        found = await history(client, customer_id=customer, reconciliation="matched", method_kind="card")
        assert [each["id"] for each in found] == [matched["id"]]

    async def test_sorted_by_amount_page_by_page(self, client: Client) -> None:
        customer = await client.customer()
        for minor in (300, 100, 300, 200, 500):
            await client.receive(customer, minor)
        more = {"customer_id": customer, "currency": "USD", "limit": 2}
        found = [each["amount_minor"] for each in await history(client, sort="amount", **more)]
        assert found == [100, 200, 300, 300, 500]
        found = [each["amount_minor"] for each in await history(client, sort="-amount", **more)]
        assert found == [500, 300, 300, 200, 100]
        status, problem = await client.ask("GET", "/v1/payments?sort=amount")
        assert (status, problem["errors"][0]["field"]) == (422, "sort")
        status, problem = await client.ask(
            "GET", f"/v1/payments?sort=amount&customer_id={customer}&currency=USD&cursor=x"
        )
        assert (status, problem["errors"][0]["field"]) == (422, "cursor")

    async def test_a_customers_key_finds_no_other(self, client: Client, stack: LocalStack) -> None:
        mine, other = await client.customer(), await client.customer()
        invoice = await client.invoice(other)
        theirs = await client.receive(other, 10_000, invoice)
        key = await client.make("/v1/api-keys", {"name": "mine", "customer_id": mine, "scopes": ["payments:read"]})
        async with Client(stack.url, key["key"]) as limited:
            assert await history(limited, invoice_id=invoice) == []
            assert await history(limited, number=theirs["number"]) == []


class TestMetadata:
    async def test_is_returned_and_in_no_event(self, client: Client) -> None:
        customer, note = await client.customer(), {"order": "4711", "clerk": "Zoë"}
        cheque = await client.receive(customer, 100, metadata=note)
        assert cheque["metadata"] == note
        assert (await client.get(f"/v1/payments/{cheque['id']}"))["metadata"] == note
        invoice, method = await client.invoice(customer), await client.method(customer, "pm_card_visa_debit")
        quote = await client.quote(customer, method, invoice)
        body = {"quote_id": quote["id"], "metadata": note}
        card = await client.make("/v1/payments", body, key=quote["id"])
        await client.paid(invoice)
        assert (await client.get(f"/v1/payments/{card['id']}"))["metadata"] == note
        assert [one["metadata"] for one in await history(client, customer_id=customer)] == [note, note]

    async def test_has_its_bounds(self, client: Client) -> None:
        customer = await client.customer()
        for metadata in (
            {str(n): "x" for n in range(21)},
            {"k" * 41: "x"},
            {"k": "x" * 501},
            {"k": 1},
            {"": "x"},
        ):
            body = {"customer_id": customer, "amount_minor": 1, "currency": "USD", "received_on": "2026-03-01"}
            headers = {"Idempotency-Key": "bounds"}
            status, problem = await client.ask(
                "POST", "/v1/payments/offline", {**body, "metadata": metadata}, **headers
            )
            assert status == 422, problem
            assert problem["errors"][0]["field"].startswith("metadata")
