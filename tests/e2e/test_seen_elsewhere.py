"""What one service has answered is known to the others that hear of it, once it is named to them."""

import aiohttp
import pytest

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.stack import LocalStack


async def answered(stack: LocalStack, path: str, seen: str) -> int:
    headers = {"Authorization": f"Bearer {stack.api_key}", "Paidup-Seen": seen}
    async with aiohttp.ClientSession() as session, session.get(stack.url + path, headers=headers) as answer:
        return answer.status


async def test_every_service_waits_for_known_events(client: Client, stack: LocalStack) -> None:
    customer = await client.customer()
    invoice, method = await client.invoice(customer), await client.method(customer)
    payment = (await client.receive(customer, 12_000, invoice))["id"]
    payments, invoices = f"/v1/payments/{payment}", f"/v1/invoices/{invoice}"
    await client.paid(invoice)
    for path, aggregate, sequence in (
        (payments, payment, 1), (payments, method, 1), (payments, invoice, 1), (payments, customer, 1),
        (invoices, invoice, 2), (invoices, customer, 1), (invoices, payment, 1),
    ):  # fmt: skip
        assert await answered(stack, path, f"{aggregate}:{sequence}") == 200
    for path in (payments, invoices):
        assert await answered(stack, path, f"{new_id()}:1") == 503
    await client.heard("/v1/api-keys", invoice)


@pytest.mark.parametrize("path", ["/v1/invoices", "/v1/payments", "/v1/customers", "/v1/api-keys"])
async def test_a_misspelt_filter_lists_nothing(client: Client, path: str) -> None:
    status, problem = await client.ask("GET", f"{path}?custmer_id=7", None)
    assert (status, [error["field"] for error in problem["errors"]]) == (422, ["custmer_id"])


async def test_long_head_is_refused_before_the_key(stack: LocalStack) -> None:
    headers = {"X": "a" * 40_000}
    async with aiohttp.ClientSession() as session, session.get(stack.url + "/v1/invoices", headers=headers) as answer:
        assert (answer.status, (await answer.json())["type"]) == (431, "urn:paidup:problem:head-too-large")
