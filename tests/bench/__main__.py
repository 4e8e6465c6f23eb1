"""`make bench`: what a stack of its own manages on this machine, everything durable, clients included.

Sizes: BENCH_PAYMENTS (offline payments, 6000), BENCH_BANK_LINES (lines of a bank's file, 20000; a full run: 100000) and
BENCH_INVOICES (1000000; sizes above it are null). MONTH=full lets a whole month pass, of 20,000 invoices and 15,000
payments, else a tenth of it. BENCH_ONLY=bank, month, people or portal leaves the rest out.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import asyncpg
import uvloop

from chassis.http.identity import Identity, TokenSigner
from contracts.ids import new_id
from tests.bench import bank, loading, meter, people, portal
from tests.bench.loading import A_MINOR
from tests.bench.wire import Wire
from tests.kit.client import Client
from tests.kit.month import FULL, Month
from tests.kit.stack import LocalStack, local_stack

CLIENTS = 16
PAYERS = 64
OTHERS = 200
SIZES = (100, 10_000, 1_000_000)
OF_ONE_CUSTOMER = 10_000
EVENTS = 20_000
STUCK_SECONDS = 120
PEOPLE, SIGN_IN_SECONDS = 8, 5.0
LOUD_PERCENT = 3
ONLY = os.environ.get("BENCH_ONLY")

Bill = tuple[str, str]


def say(text: str) -> None:
    print(text, flush=True)


class Bench:
    """One run: customers, clients and figures."""

    def __init__(self, stack: LocalStack, payments: int, invoices: int, bank_lines: int) -> None:
        self.stack, self.payments, self.invoices, self.bank_lines = stack, payments, invoices, bank_lines
        self.clients = [Wire(stack.url, stack.api_key) for _ in range(CLIENTS)]
        self.customers: dict[str, str] = {}
        self.methods: dict[str, str] = {}
        self.noise: list[float] = []
        self.figures: dict[str, Any] = {}
        self.payers = [f"PAYER-{n}" for n in range(PAYERS)]
        self.filled = 0

    async def each(self, items: Iterable[Any], do: Callable[[Wire, Any], Awaitable[None]]) -> None:
        """Do it for every item, by all clients at once."""
        left = iter(items)

        async def client(wire: Wire) -> None:
            for item in left:
                await do(wire, item)

        await asyncio.gather(*(client(wire) for wire in self.clients))

    async def run(self) -> dict[str, Any]:
        await self.prepare()
        await self.warm_up()
        parts = {
            "read": [lambda: self.read_at(SIZES[0]), lambda: self.read_at(SIZES[1])],
            "paying": [self.offline, self.latency, self.cards],
            "people": [self.people],
            "portal": [self.portal],
            "bank": [self.bank_file],
            "events": [self.events, lambda: self.read_at(SIZES[2])],
            "month": [self.month],  # last: it moves the clock
        }
        for name, steps in parts.items():
            for step in steps if ONLY in (None, name) else ():
                await step()
        return self.figures | {"noise_percent": round(max(self.noise, default=0), 1)}

    # --- before

    async def prepare(self) -> None:
        async def create(wire: Wire, name: str) -> None:
            self.customers[name] = (await wire.make("/v1/customers", {"external_id": name, "name": name}))["id"]

        async def attach(wire: Wire, name: str) -> None:
            path = f"/v1/customers/{self.customers[name]}/payment-methods"
            token = {"provider_token": "pm_card_visa_debit", "accept_terms": True}
            self.methods[self.customers[name]] = (await wire.make(path, token))["id"]

        await self.each(["BIG", *self.payers, *(f"OTHER-{n}" for n in range(OTHERS))], create)
        await self.each(self.payers, attach)

    async def bills(self, count: int, tag: str, minor: Callable[[int], int] = lambda number: A_MINOR) -> list[Bill]:
        """Invoices to pay, spread over the payers: customer and invoice id."""
        await loading.load(self.stack, [self.payers[n % PAYERS] for n in range(count)], tag, minor=minor)
        invoicing = await asyncpg.connect(self.stack.database_url("invoicing"))
        rows = await invoicing.fetch(
            "SELECT customer_id::text, id::text FROM invoices WHERE number LIKE $1 || '-%' ORDER BY created_at, id", tag
        )
        await invoicing.close()
        assert len(rows) == count
        return [(row[0], row[1]) for row in rows]

    async def warm_up(self) -> None:
        say("warming up")
        count = min(800, self.payments)
        bills = await self.bills(count, "WARM")
        await self.each(bills[: count * 3 // 4], receive)
        await self.each(bills[count * 3 // 4 :], self.charge)
        await self.all_paid()

    # --- measured

    async def measured(self, what: str, count: int, run: Callable[[], Awaitable[None]]) -> tuple[float, meter.Spent]:
        """Payments a second until the last is Paid, and the CPU that they took, with those who only hear of them."""
        await meter.at_rest(self.stack)
        before = meter.read(self.stack)
        began = time.monotonic()
        await run()
        accepted = time.monotonic() - began
        await self.all_paid()
        rate = count / (time.monotonic() - began)
        await meter.at_rest(self.stack)
        spent = meter.read(self.stack).since(before)
        self.noise.append(spent.noise_percent)
        say(f"{what}: {count / accepted:.0f} accepted and {rate:.0f} Paid a second")
        self.tell_cpu(spent, count)
        return rate, spent

    def tell_cpu(self, spent: meter.Spent, count: int) -> None:
        each = spent.each_ms(count)
        shown = ", ".join(f"{name} {ms:.2f}" for name, ms in sorted(each.items(), key=lambda pair: -pair[1]))
        say(f"  ms CPU each: {sum(each.values()):.2f} = {shown}; client {spent.client * 1000 / count:.2f}")
        if spent.noise_percent > LOUD_PERCENT:
            say(f"  other programs took {spent.noise_percent:.0f} % of the cores meanwhile: the figures are too low")

    async def all_paid(self) -> None:
        """Return once no payer owes anything; AssertionError when that stands still."""
        wire, deadline = self.clients[0], time.monotonic() + STUCK_SECONDS
        for name in self.payers:
            path = f"/v1/invoices?customer_id={self.customers[name]}&status=unpaid&limit=1"
            while (await wire.get(path))["items"]:
                assert time.monotonic() < deadline, f"{name} still owes"
                await asyncio.sleep(0.005)

    async def offline(self) -> None:
        bills = await self.bills(self.payments, "OFF")
        rate, spent = await self.measured("offline payments", len(bills), lambda: self.each(bills, receive))
        self.figures["offline_paid_per_s"] = round(rate, 1)
        self.figures["cpu_ms_per_payment"] = round(sum(spent.stack.values()) * 1000 / len(bills), 2)

    async def latency(self) -> None:
        self.figures["paid_ms_p50"], self.figures["paid_ms_p99"] = await self.until_paid("ONE")
        say(f"accepted to Paid, one client: {self.figures['paid_ms_p50']} ms p50, {self.figures['paid_ms_p99']} ms p99")

    async def until_paid(self, tag: str) -> tuple[float, float]:
        """From accepted to Paid, one payment after the other: milliseconds, p50 and p99."""
        wire, times = self.clients[0], []
        for bill in await self.bills(min(400, self.payments), tag):
            await receive(wire, bill)
            began = time.monotonic()
            while (await wire.get(f"/v1/invoices/{bill[1]}"))["status"] != "paid":
                assert time.monotonic() - began < STUCK_SECONDS, f"invoice {bill[1]} is not Paid"
            times.append((time.monotonic() - began) * 1000)
        return round(statistics.median(times), 1), round(statistics.quantiles(times, n=100)[98], 1)

    async def people(self) -> None:
        """What a session costs in a request; sign-ins by password; and what a flood of them does to payments."""
        async with people.people(self.stack, PEOPLE) as found:
            self.figures["session_check_ms"] = await people.check_ms(self.stack, found[0])
            self.figures["gateway_ms_by"] = await people.gateway_ms(self.stack, found[0])
            before = meter.read(self.stack)
            self.figures["code_requests_per_s"] = await people.code_requests(self.stack, SIGN_IN_SECONDS)
            self.figures["sign_ins_per_s"] = await people.sign_ins(found, SIGN_IN_SECONDS)
            self.noise.append(meter.read(self.stack).since(before).noise_percent)
            say(f"the check of a session: {self.figures['session_check_ms']} ms CPU")
            say(f"the gateway's CPU in a request, ms: {self.figures['gateway_ms_by']}")
            say(f"codes asked for: {self.figures['code_requests_per_s']} a second")
            say(f"sign-ins by password: {self.figures['sign_ins_per_s']} a second")
            _, quiet = await self.until_paid("QUIET")
            flood = asyncio.create_task(people.sign_ins(found, STUCK_SECONDS))
            _, flooded = await self.until_paid("FLOOD")
            flood.cancel()
            self.figures["paid_ms_p99_in_flood"] = [quiet, flooded]
            say(f"accepted to Paid, p99: {quiet} ms, and {flooded} ms while everybody signs in by password")

    async def portal(self) -> None:
        """The pages of a customer with many invoices, in Chromium."""
        found = await portal.measure(self.stack, OF_ONE_CUSTOMER)
        if isinstance(found, str):
            return say(f"the portal is not measured: {found}")
        self.figures |= portal.said(found)
        say(f"the portal with {OF_ONE_CUSTOMER:,} invoices: usable after {found.usable} ms")
        say(f"  frames over 50 ms while paging, filtering and searching: {found.slow_frames or 'none'}")
        say(f"  from the click on Pay to Paid on the screen: {found.paid} ms p50")

    async def charge(self, wire: Wire, bill: Bill) -> None:
        """Quote and confirm."""
        wish = {"customer_id": bill[0], "method_id": self.methods[bill[0]], "invoices": [{"invoice_id": bill[1]}]}
        quote = await wire.make("/v1/quotes", wish)
        await wire.make("/v1/payments", {"quote_id": quote["id"], "accept_surcharge": True}, f"card-{bill[1]}")

    async def cards(self) -> None:
        bills = await self.bills(max(1, self.payments // 4), "CARD")
        rate, _ = await self.measured("card payments", len(bills), lambda: self.each(bills, self.charge))
        self.figures["card_paid_per_s"] = round(rate, 1)

    async def bank_file(self) -> None:
        """A file of transfers that name an invoice each, until the last of these is Paid."""
        bills = await self.bills(self.bank_lines, "BANK", bank.minor_of)
        with bank.file_of(len(bills), "BANK") as file:
            async with meter.memory(self.stack, "payments") as memory:
                rate, _ = await self.measured("bank lines", len(bills), lambda: bank.take(self.stack, file, len(bills)))
        self.figures["bank_file_invoices_per_s"] = round(rate, 1)
        self.figures["bank_file_memory_mb"] = memory.grown
        say(f"  payments' memory: {memory.first:.0f} MB, {memory.grown:.0f} MB more at most")

    async def month(self) -> None:
        """A month of business of every kind; its exceptions must be those that were planted."""
        before, began = meter.read(self.stack), time.monotonic()
        size = FULL if os.environ.get("MONTH") == "full" else FULL.part(10)
        async with Client(self.stack.url, self.stack.api_key) as client:
            month = Month(self.stack, client, size, say)
            async with meter.memory(self.stack, "payments") as memory:
                await month.run()
                found = await month.settle_down()
        assert found == month.expected, (found - month.expected, month.expected - found)
        self.figures["month_s"] = round(time.monotonic() - began, 1)
        self.figures["month_memory_mb"] = memory.grown
        self.noise.append(meter.read(self.stack).since(before).noise_percent)
        say(f"a month of {size.invoices:,} invoices and {size.payments:,} payments: {self.figures['month_s']} s")
        say(f"  payments' memory: {memory.first:.0f} MB, {memory.grown:.0f} MB more at most; {dict(month.done)}")

    async def events(self) -> None:
        """Events that are committed in invoicing, until payments has acted on the last of them."""
        owners = [f"OTHER-{n % OTHERS}" for n in range(min(EVENTS, max(self.invoices, 1000)))]
        before = meter.read(self.stack)
        seconds = await loading.commit_to_effect(self.stack, owners, "EVENT")
        self.noise.append(meter.read(self.stack).since(before).noise_percent)
        self.figures["events_per_s"] = round(len(owners) / seconds)
        say(f"{len(owners):,} events from commit to effect: {self.figures['events_per_s']} a second")

    async def read_at(self, size: int) -> None:
        """Bring the invoices to this size, then read pages and aging of the customer that owns many."""
        pages, agings = (self.figures.setdefault(name, {}) for name in ("page_ms_p50", "aging_ms_p50"))
        if size > self.invoices:
            pages[str(size)] = agings[str(size)] = None
            return
        await self.fill(size)
        pages[str(size)], agings[str(size)] = await self.read()
        say(f"{size:,} invoices: a page {pages[str(size)]} ms, aging {agings[str(size)]} ms (p50, in the service)")

    async def fill(self, size: int) -> None:
        owners = ["BIG" if n < OF_ONE_CUSTOMER else f"OTHER-{n % OTHERS}" for n in range(self.filled, size)]
        before = meter.read(self.stack)
        seconds = await loading.load(self.stack, owners, f"FILL{size}", say)
        spent = meter.read(self.stack).since(before)
        self.filled = size
        if len(owners) < 1000:
            return
        say(f"{len(owners):,} commands issued and in payments' projection: {len(owners) / seconds:.0f} a second")
        self.tell_cpu(spent, len(owners))

    async def read(self) -> tuple[float, float]:
        signer = TokenSigner(self.stack.home / "keys/private.json")
        token, _ = signer.sign(Identity("bench", "key", frozenset({"*"})), "invoicing")
        url = f"http://127.0.0.1:{self.stack.settings.port_of('invoicing')}"
        mine = f"/v1/invoices?customer_id={self.customers['BIG']}&limit=20"
        async with Wire(url, token) as wire:
            cursor = (await wire.get(mine))["next_cursor"]
            pages = [mine, f"{mine}&tab=open", f"{mine}&cursor={cursor}", "/v1/invoices?limit=20"]
            slowest = max([await median_ms(wire, page) for page in pages])
            return slowest, await median_ms(wire, f"/v1/customers/{self.customers['BIG']}/aging")


async def median_ms(wire: Wire, path: str, times: int = 200) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await wire.ask("GET", path)
        taken.append((time.perf_counter() - began) * 1000)
    await wire.get(path)
    return round(statistics.median(taken[20:]), 2)


async def receive(wire: Wire, bill: Bill) -> None:
    """The whole invoice, by cheque."""
    body = {
        "customer_id": bill[0],
        "amount_minor": A_MINOR,
        "currency": "USD",
        "received_on": "2026-11-20",
        "reference": "cheque",
        "invoices": [{"invoice_id": bill[1]}],
    }
    await wire.make("/v1/payments/offline", body, new_id())


def main() -> None:
    payments, invoices = int(os.environ.get("BENCH_PAYMENTS", "6000")), int(os.environ.get("BENCH_INVOICES", "1000000"))
    bank_lines = int(os.environ.get("BENCH_BANK_LINES", "20000"))
    say(f"starting a stack; load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with local_stack() as stack:
        try:
            figures: dict[str, Any] = uvloop.run(Bench(stack, payments, invoices, bank_lines).run())
            found = stack.paidup_json("check-money", check=False)
        except Exception:  # a wrong result or a standstill: told, and not ok
            traceback.print_exc()
            figures, found = {}, {"ok": False, "violations": ["the run broke off"]}
    print(json.dumps(figures | {"ok": found["ok"], "violations": found["violations"]}))
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
