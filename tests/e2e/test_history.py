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


async def test_the_history_goes_from_the_newest_back_page_by_page(client: Client) -> None:
    customer = await client.customer()
    payments = [await client.receive(customer, 100 + n) for n in range(5)]
    found = await history(client, customer_id=customer, limit=2)
    assert [each["id"] for each in found] == [each["id"] for each in reversed(payments)]


async def test_payments_are_found_by_status_method_and_day(client: Client) -> None:
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


async def test_a_customers_key_sees_its_own_history_alone(client: Client, stack: LocalStack) -> None:
    mine, other = await client.customer(), await client.customer()
    await client.receive(mine, 100)
    await client.receive(other, 100)
    key = await client.make("/v1/api-keys", {"name": "mine", "customer_id": mine, "scopes": ["payments:read"]})
    async with Client(stack.url, key["key"]) as theirs:
        assert {each["customer_id"] for each in await history(theirs)} == {mine}
        assert (await theirs.ask("GET", f"/v1/payments?customer_id={other}"))[0] == 404


async def test_a_wrong_filter_or_cursor_is_named(client: Client) -> None:
    for query, field in (
        ("customer_id=x", "customer_id"), ("method=x", "method"), ("cursor=x", "cursor"), ("cursor=WyJhIl0", "cursor"),
        ("from=yesterday", "from"), ("status=paid", "status"), ("limit=0", "limit"),
        ("from=2026-11-26&to=2026-11-24", "to"),
    ):  # fmt: skip
        status, problem = await client.ask("GET", f"/v1/payments?{query}")
        assert (status, [fault["field"] for fault in problem["errors"]]) == (422, [field]), query
