"""A key of one customer reads all that is its own, on every route of the API, and nothing of another customer."""

import json
import re
from dataclasses import dataclass

import pytest

from tests.kit.client import Client
from tests.kit.stack import LocalStack

NO_READS = ("/v1/events/stream", "/v1/webhooks")


@dataclass(frozen=True)
class Things:
    """Ids of what a customer has, by the name that paths give them."""

    customer_id: str
    invoice_id: str
    payment_id: str
    method_id: str
    quote_id: str
    setup_id: str

    def path(self, template: str) -> str | None:
        """The path with these ids; None when it names something else."""
        names = re.findall(r"{(\w+)}", template)
        return template.format(**vars(self)) if all(hasattr(self, name) for name in names) else None


async def things(client: Client) -> Things:
    customer = await client.customer()
    invoice, method = await client.invoice(customer), await client.method(customer)
    quote = await client.quote(customer, method, invoice)
    payment = await client.pay(quote)
    await client.paid(invoice)
    page = {"accept_terms": True, "return_url": "https://portal.example/back"}
    setup = await client.make(f"/v1/customers/{customer}/payment-methods/setup", page)
    return Things(customer, invoice, payment["id"], method, quote["id"], setup["id"])


async def key_of(client: Client, customer_id: str) -> str:
    wish = {"name": "portal", "scopes": ["*"], "customer_id": customer_id}
    made = await client.make("/v1/api-keys", wish)
    return str(made["key"])


async def routes(client: Client) -> list[str]:
    document = await client.get("/openapi.json")
    return [path for path, item in document["paths"].items() if "get" in item and not path.startswith(NO_READS)]


@pytest.mark.usefixtures("stack")
class TestEveryRoute:
    async def test_own_things_are_read(self, client: Client, stack: LocalStack) -> None:
        own = await things(client)
        read = []
        async with Client(stack.url, await key_of(client, own.customer_id)) as customer:
            for path in filter(None, map(own.path, await routes(client))):
                status, _ = await customer.ask("GET", path)
                assert status in (200, 403, 422), (path, status)  # the company's; or a filter is needed
                read += [path] if status == 200 else []
        assert len(read) >= 12, read

    async def test_nothing_of_another_is_read(self, client: Client, stack: LocalStack) -> None:
        own, other = await things(client), await things(client)
        secrets = set(vars(other).values())
        async with Client(stack.url, await key_of(client, own.customer_id)) as customer:
            for path in filter(None, map(other.path, await routes(client))):
                for asked in (path, f"{path}?customer_id={other.customer_id}", f"{path}?invoice_id={other.invoice_id}"):
                    status, answer = await customer.ask("GET", asked)
                    assert status < 500, asked
                    shown = json.dumps(answer if status == 200 else {})
                    assert not [each for each in secrets if each in shown], asked
