"""`make demo`: ways to pay an invoice, or not, and what comes after, on a stack of its own; a table of their states."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.ids import new_id
from tests.kit.client import Client
from tests.kit.stack import LocalStack, local_stack

FINAL = ("succeeded", "declined", "cancelled")


@dataclass
class Story:
    """One invoice's way: the states that it went through, with the milliseconds since the payment was asked for."""

    title: str
    states: list[tuple[str, float]] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def saw(self, invoice: Any) -> None:
        self.note(
            invoice["status"] + (" (partly paid)" if invoice["status"] == "open" and invoice["settled_minor"] else "")
        )

    def note(self, label: str) -> None:
        if not self.states or self.states[-1][0] != label:
            self.states.append((label, (time.perf_counter() - self.began) * 1000))


async def follow(client: Client, invoice_id: str, story: Story, end: str, seconds: float = 30) -> None:
    """Watch an invoice until a state; TimeoutError when it does not come."""
    async with asyncio.timeout(seconds):
        while not story.states or not story.states[-1][0].startswith(end):
            story.saw(await client.get(f"/v1/invoices/{invoice_id}"))


async def begin(client: Client, titles: Sequence[str], invoices: Sequence[str]) -> list[Story]:
    stories = [Story(title) for title in titles]
    for story, invoice in zip(stories, invoices, strict=True):
        story.saw(await client.get(f"/v1/invoices/{invoice}"))
        story.began = time.perf_counter()
    return stories


async def pay(
    client: Client, title: str, token: str, end: str, *, accept: bool = True, part: int = 0
) -> tuple[Story, str, str]:
    customer = await client.customer(name=title)
    invoice, method = await client.invoice(customer), await client.method(customer, token)
    quote = await client.quote(customer, method, (invoice, part) if part else invoice)
    (story,) = await begin(client, [title], [invoice])
    payment = await client.pay(quote, accept=accept)
    if end == "open":
        await client.until(f"/v1/payments/{payment['id']}", lambda p: p["status"] in FINAL)
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
    stories = await begin(client, [f"a cheque of 250.00 over three invoices, no. {n}" for n in (1, 2, 3)], invoices)
    await client.receive(customer, 25_000)
    for story, invoice, end in zip(stories, invoices, ("paid", "paid", "open (partly"), strict=True):
        await follow(client, invoice, story, end)
    return stories


async def choose(client: Client, title: str, credit: int, **choice: Any) -> list[Story]:
    """Two invoices by debit card, not named but chosen by a rule; `credit` is what neither needs."""
    customer = await client.customer(name=title)
    method = await client.method(customer, "pm_card_visa_debit")
    invoices = [await client.invoice(customer, due_on=f"2026-0{month}-01") for month in (2, 3)]
    await client.quote(customer, method, *invoices)
    stories = await begin(client, [f"{title}, no. {n}" for n in (1, 2)], invoices)
    asked = {"customer_id": customer, "method_id": method, "currency": "USD", **choice}
    payment = await client.pay(await client.make("/v1/quotes", asked))
    await asyncio.gather(*(follow(client, one, story, "paid") for one, story in zip(invoices, stories, strict=True)))
    await client.until(f"/v1/payments/{payment['id']}", lambda p: p["credit_minor"] == credit)
    return stories


async def bank_file(client: Client, stack: LocalStack) -> list[Story]:
    """Three transfers, each naming an invoice: two are exact and post by themselves, one is too short."""
    customer = await client.customer(name="Bank file")
    numbers = [f"DEMO-{new_id()[-12:]}" for _ in range(3)]
    invoices = [await client.invoice(customer, number=number) for number in numbers]
    method = await client.method(customer, "pm_card_visa_debit")
    await client.quote(customer, method, *invoices)
    titles = (
        "a bank file's transfer, by its text",
        "a bank file's transfer, by its reference",
        "a transfer that is too short",
    )
    stories = await begin(client, titles, invoices)
    lines = [
        {"amount_minor": 10_000, "text": f"our invoice {numbers[0].lower()}"},
        {"amount_minor": 10_000, "reference": numbers[1]},
        {"amount_minor": 7_000, "reference": numbers[2]},
    ]
    transfers = [{"currency": "USD", "booked_on": "2026-03-02", **line} for line in lines]
    account = f"DE{new_id()[-12:]}"
    file = await asyncio.to_thread(stack.sandbox, "bank-file", format="camt.053", account=account, lines=transfers)
    _, run = await client.upload("/v1/bank-statements", file)
    for invoice, story in zip(invoices[:2], stories[:2], strict=True):
        await follow(client, invoice, story, "paid")
    run = await client.until(f"/v1/reconciliation/runs/{run['id']}", lambda r: r["status"] == "done")
    assert (run["posted"], run["proposed"]) == (2, 1), run
    waiting = (await client.get("/v1/reconciliation/exceptions?state=open"))["items"]
    (short,) = (each for each in waiting if each["line"] and each["line"]["run_id"] == run["id"])
    stories[2].note(f"open: {short['class']}, {len(short['proposals'])} proposal")
    await client.make(
        f"/v1/reconciliation/exceptions/{short['id']}/resolve", {"action": "post", "proposal": 0, "reason": "ok"}
    )
    await follow(client, invoices[2], stories[2], "open (partly")
    return stories


async def returned(client: Client, stack: LocalStack) -> Story:
    title = "a bank debit that comes back after Paid"
    story, invoice, payment = await pay(client, title, "pm_usBankAccount_success", "paid")
    intent = (await asyncio.to_thread(stack.intents))[payment]
    await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/return", code="R01")
    await follow(client, invoice, story, "open")
    return story


async def charged_back(client: Client, stack: LocalStack, end: str) -> Story:
    title = f"a chargeback that is {'lost' if end == 'lose' else 'won'}"
    story, invoice, payment = await pay(client, title, "pm_card_visa_debit", "paid")
    intent = (await asyncio.to_thread(stack.intents))[payment]
    dispute = await asyncio.to_thread(stack.sandbox, f"payment_intents/{intent}/dispute")
    await client.until(f"/v1/payments/{payment}", lambda p: p["disputed_minor"])
    story.note(f"{(await client.get(f'/v1/invoices/{invoice}'))['status']} (disputed)")
    await asyncio.to_thread(stack.sandbox, f"disputes/{dispute['id']}/{end}")
    await client.until(f"/v1/payments/{payment}", lambda p: not p["disputed_minor"])
    await follow(client, invoice, story, "open" if end == "lose" else "paid")
    story.saw(await client.get(f"/v1/invoices/{invoice}"))
    return story


async def refunded(client: Client) -> Story:
    title = "40.00 of a card payment refunded"
    story, invoice, payment = await pay(client, title, "pm_card_visa", "paid")
    await client.refund(payment, 4_000)
    await follow(client, invoice, story, "open (partly")
    return story


async def walk_through(stack: LocalStack) -> list[Story]:
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
            *await choose(client, "pay all", 0, all=True),
            *await choose(client, "250.00, oldest first, the rest credit", 5_000, amount_minor=25_000),
            *await bank_file(client, stack),
            await returned(client, stack),
            await charged_back(client, stack, "lose"),
            await charged_back(client, stack, "win"),
            await refunded(client),
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
        stories = asyncio.run(walk_through(stack))
        show(stories)
        found = stack.paidup_json("check-money", check=False)
    print(json.dumps({"ok": found["ok"], "invoices": len(stories), "violations": found["violations"]}))
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
