"""`make demo`: seven ways to pay an invoice, or not, on a stack of its own; a table of each invoice's states."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from tests.kit.client import Client
from tests.kit.stack import LocalStack, local_stack


@dataclass
class Story:
    """One invoice's way: the states that it went through, with the milliseconds since the payment was asked for."""

    title: str
    states: list[tuple[str, float]] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def saw(self, invoice: Any) -> None:
        label = invoice["status"] + (
            " (partly paid)" if invoice["status"] == "open" and invoice["settled_minor"] else ""
        )
        if not self.states or self.states[-1][0] != label:
            self.states.append((label, (time.perf_counter() - self.began) * 1000))


async def follow(client: Client, invoice_id: str, story: Story, end: str, seconds: float = 30) -> None:
    """Watch an invoice until a state; TimeoutError when it does not come."""
    async with asyncio.timeout(seconds):
        while not story.states or not story.states[-1][0].startswith(end):
            story.saw(await client.get(f"/v1/invoices/{invoice_id}"))


async def pay(
    client: Client, title: str, token: str, end: str, *, accept: bool = True, part: int = 0
) -> tuple[Story, str, str]:
    customer = await client.customer(name=title)
    invoice, method = await client.invoice(customer), await client.method(customer, token)
    quote = await client.quote(customer, method, (invoice, part) if part else invoice)
    story = Story(title)
    story.saw(await client.get(f"/v1/invoices/{invoice}"))
    story.began = time.perf_counter()
    payment = await client.pay(quote, accept=accept)
    final = ("succeeded", "declined", "cancelled")
    if end == "open":
        await client.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] in final)
        await client.until(f"/v1/invoices/{invoice}", lambda i: not i["pending_minor"])
        if part:
            await client.until(f"/v1/invoices/{invoice}", lambda i: i["settled_minor"] == part)
        story.saw(await client.get(f"/v1/invoices/{invoice}"))
    else:
        await follow(client, invoice, story, end)
    return story, invoice, payment["id"]


async def receive_over_three(client: Client) -> list[Story]:
    customer = await client.customer(name="Cheque over three invoices")
    invoices = [await client.invoice(customer, due_on=f"2026-0{month}-01") for month in (2, 3, 4)]
    stories = [Story(f"a cheque of 250.00 over three invoices, no. {n}") for n in (1, 2, 3)]
    for story, invoice in zip(stories, invoices, strict=True):
        story.saw(await client.get(f"/v1/invoices/{invoice}"))
        story.began = time.perf_counter()
    await client.receive(customer, 25_000)
    for story, invoice, end in zip(stories, invoices, ("paid", "paid", "open (partly"), strict=True):
        await follow(client, invoice, story, end)
    return stories


async def returned(client: Client, stack: LocalStack) -> Story:
    story, invoice, payment = await pay(
        client, "a bank debit that comes back after Paid", "pm_usBankAccount_success", "paid"
    )
    base = f"http://127.0.0.1:{stack.settings.port_of('sandbox')}/_control"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/charges") as answer:
            charges = (await answer.json())["items"]
        intent = next(c["payment_intent"] for c in charges if c["metadata"].get("payment_id") == payment)
        async with session.post(f"{base}/payment_intents/{intent}/return", json={"code": "R01"}) as answer:
            answer.raise_for_status()
    await follow(client, invoice, story, "open")
    return story


async def tell(stack: LocalStack) -> list[Story]:
    async with Client(stack.url, stack.api_key) as client:
        warm = await client.customer()
        await client.receive(warm, 100)
        return [
            (await pay(client, "a credit card, surcharge accepted", "pm_card_visa", "paid"))[0],
            (await pay(client, "a credit card, surcharge declined", "pm_card_visa", "open", accept=False))[0],
            (await pay(client, "a declined card", "pm_card_visa_chargeDeclined", "open"))[0],
            (await pay(client, "a bank debit", "pm_usBankAccount_success", "paid"))[0],
            (await pay(client, "40.00 of 100.00 by debit card", "pm_card_visa_debit", "open", part=4_000))[0],
            *await receive_over_three(client),
            await returned(client, stack),
        ]


def show(stories: list[Story]) -> None:
    table = Table("invoice", "states, with milliseconds since the payment was asked for", title="Paidup demo")
    for story in stories:
        table.add_row(
            story.title, " → ".join(f"{state} {ms:.0f}" if n else state for n, (state, ms) in enumerate(story.states))
        )
    Console(width=150).print(table)


def main() -> None:
    with local_stack() as stack:
        stories = asyncio.run(tell(stack))
        show(stories)
        found = stack.paidup_json("check-money", check=False)
    print(json.dumps({"ok": found["ok"], "invoices": len(stories), "violations": found["violations"]}))
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
