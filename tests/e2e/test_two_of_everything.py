"""Two replicas of each service's serve and work at once: same results, and the relay's lead passes on."""

import asyncio
import signal
import time
import urllib.request
from typing import Any

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


async def pay_many(client: Client, count: int) -> list[str]:
    customer = await client.customer()
    invoices = await asyncio.gather(*(client.invoice(customer) for _ in range(count)))
    method = await client.method(customer, "pm_card_visa_debit")

    async def pay(place: int, invoice: str) -> Any:
        if place % 2:
            return await client.receive(customer, 10_000, invoice)
        return await client.pay(await client.quote(customer, method, invoice))

    await asyncio.gather(*(pay(place, invoice) for place, invoice in enumerate(invoices)))
    await asyncio.gather(*(client.paid(invoice, 60) for invoice in invoices))
    return list(invoices)


async def test_two_of_everything_give_the_same_results_and_a_killed_leader_is_replaced() -> None:
    with local_stack(split=True, replicas=2) as stack:
        async with Client(stack.url, stack.api_key) as client:
            await pay_many(client, 40)
            waits = []
            for service in ("invoicing", "payments"):
                customer = await client.customer()
                invoice = await client.invoice(customer)
                stack.kill(leader(stack, service), signal.SIGKILL)
                began = time.monotonic()
                await client.receive(customer, 10_000, invoice)
                await client.paid(invoice, 30)
                waits.append(time.monotonic() - began)
            await pay_many(client, 10)
        found = stack.paidup_json("check-money", check=False)
    assert found["ok"], found
    assert max(waits) < 15, waits
