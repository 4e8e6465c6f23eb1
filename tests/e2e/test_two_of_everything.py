"""Two replicas of each service's serve and work at once: same results, and the relay's lead passes on."""

import asyncio
import signal
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.stack import LocalStack, local_stack


def leader(stack: LocalStack, service: str) -> str:
    """The work process whose relay leads."""
    for one in stack.status()["processes"]:
        if one["name"].startswith(f"{service}-work"):
            with urllib.request.urlopen(f"http://127.0.0.1:{one['port']}/metrics") as answer:
                if b"paidup_outbox_leading 1.0" in answer.read():
                    return str(one["name"])
    raise AssertionError(f"no relay of {service} leads")


AGAIN = {"unknown-invoice", "unknown-customer", "not-found", "request-in-progress"}


async def patiently(client: Client, path: str, body: Any) -> Any:
    """Ask until payments has heard of the customer and the invoice: a dead replica's share passes on within seconds."""
    end, key = time.monotonic() + 20, new_id()
    while True:
        status, answer = await client.ask("POST", path, body, **{"Idempotency-Key": key})
        if status in (201, 202):
            return answer
        assert answer["type"].rpartition(":")[2] in AGAIN, answer
        assert time.monotonic() < end, answer


async def receive(client: Client, customer: str, invoice: str) -> Any:
    body = {"customer_id": customer, "amount_minor": 10_000, "currency": "USD", "received_on": "2026-03-01"}
    return await patiently(client, "/v1/payments/offline", body | {"invoices": [{"invoice_id": invoice}]})


async def pay_many(client: Client, count: int) -> list[str]:
    customer = await client.customer()
    invoices = await asyncio.gather(*(client.invoice(customer) for _ in range(count)))
    token = {"provider_token": "pm_card_visa_debit", "accept_terms": True}
    method = (await patiently(client, f"/v1/customers/{customer}/payment-methods", token))["id"]

    async def pay(place: int, invoice: str) -> None:
        if place % 2:
            await receive(client, customer, invoice)
        else:
            wish = {"customer_id": customer, "method_id": method, "invoices": [{"invoice_id": invoice}]}
            await client.pay(await patiently(client, "/v1/quotes", wish))

    await asyncio.gather(*(pay(place, invoice) for place, invoice in enumerate(invoices)))
    await asyncio.gather(*(client.paid(invoice, 60) for invoice in invoices))
    return list(invoices)


@pytest.fixture(scope="module")
def pair() -> Iterator[LocalStack]:
    with local_stack(split=True, replicas=2) as running:
        yield running


async def test_killed_leader_is_replaced(pair: LocalStack) -> None:
    waits = []
    async with Client(pair.url, pair.api_key) as client:
        await pay_many(client, 40)
        for service in ("invoicing", "payments"):
            customer = await client.customer()
            invoice = await client.invoice(customer)
            pair.kill(await asyncio.to_thread(leader, pair, service), signal.SIGKILL)
            began = time.monotonic()
            await receive(client, customer, invoice)
            waits.append(time.monotonic() - began)
            print(f"{service}: the lead has passed on after {waits[-1]:.1f} s")
            await client.paid(invoice, 30)
        await pay_many(client, 10)
    found = await asyncio.to_thread(pair.paidup_json, "check-money", check=False)
    assert found["ok"], found
    assert min(waits) < 10, waits  # six seconds are Kafka's session; other tests run beside
    assert max(waits) < 30, waits
