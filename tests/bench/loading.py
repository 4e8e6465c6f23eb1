"""Invoices as command messages: sent cheaply, and awaited until another service has them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence

import aiohttp
import asyncpg
import orjson
from aiokafka import AIOKafkaProducer

from chassis.db.locks import RELAY_LEADS
from contracts.ids import new_id
from contracts.topics import INBOUND, PARTITIONS
from paidup_local import postgres
from tests.kit.stack import LocalStack

AHEAD = 40_000
A_BATCH = 400
A_MINOR = 5000
STUCK_SECONDS = 120
TAKEN = re.compile(r'^paidup_events_taken_total\{consumer="payments",type="InvoiceIssued"\} (\S+)', re.M)


async def load(
    stack: LocalStack,
    owners: Sequence[str],
    tag: str,
    say: Callable[[str], None] = lambda text: None,
    minor: Callable[[int], int] = lambda number: A_MINOR,
) -> float:
    """Issue an invoice for each owner (an external id), the nth of `minor(n)` US cents; seconds until payments has the
    last of them.
    """
    payments = await asyncpg.connect(stack.database_url("payments"))
    producer = AIOKafkaProducer(**stack.kafka(), acks="all", max_batch_size=1_000_000)
    await producer.start()
    try:
        async with aiohttp.ClientSession() as session:
            watch = Watch(stack, session)
            before, rows = await watch.taken(), await payments.fetchval("SELECT count(*) FROM invoices")
            began = time.monotonic()
            sent = 0
            for batch in _batches(owners, tag, minor):
                await _send(producer, batch, sent // A_BATCH)
                sent += len(batch)
                if sent % AHEAD < A_BATCH:
                    await watch.until(before + sent - AHEAD, say)
            await watch.until(before + len(owners), say)
            while (missing := rows + len(owners) - await payments.fetchval("SELECT count(*) FROM invoices")) > 0:
                assert time.monotonic() - began < STUCK_SECONDS + len(owners) / 100, f"{missing} invoices never came"
                await asyncio.sleep(0.01)
            return time.monotonic() - began
    finally:
        await producer.stop()
        await payments.close()


async def hold_back(stack: LocalStack, service: str) -> asyncpg.Connection:
    """Take the lead of a service's relay: what it commits stays in its outbox until the connection is closed."""
    admin = await asyncpg.connect(postgres.admin_dsn(stack.settings))
    holder = await asyncpg.connect(stack.database_url(service))
    taking = asyncio.create_task(holder.fetchval("SELECT pg_advisory_lock($1)", RELAY_LEADS))
    while not taking.done():
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'relay'",
            service,
        )
        await asyncio.sleep(0.05)
    await admin.close()
    return holder


async def commit_to_effect(stack: LocalStack, owners: Sequence[str], tag: str) -> float:
    """Seconds from when invoices are issued, all committed, until the last of their events took effect in payments."""
    invoicing = await hold_back(stack, "invoicing")
    payments = await asyncpg.connect(stack.database_url("payments"))
    producer = AIOKafkaProducer(**stack.kafka(), acks="all", max_batch_size=1_000_000)
    await producer.start()
    try:
        before, issued = (
            await payments.fetchval("SELECT count(*) FROM invoices"),
            await invoicing.fetchval("SELECT count(*) FROM invoices"),
        )
        for turn, batch in enumerate(_batches(owners, tag)):
            await _send(producer, batch, turn)
        await _until(invoicing, f"SELECT count(*) >= {issued + len(owners)} FROM invoices")
        held = await invoicing.fetchval("SELECT count(*) FROM outbox")
        await invoicing.fetchval("SELECT pg_advisory_unlock($1)", RELAY_LEADS)
        await _until(invoicing, f"SELECT count(*) < {held} FROM outbox")
        began = time.monotonic()
        await _until(payments, f"SELECT count(*) >= {before + len(owners)} FROM invoices")
        return time.monotonic() - began
    finally:
        await producer.stop()
        await invoicing.close()
        await payments.close()


async def _until(database: asyncpg.Connection, true: str) -> None:
    """Return once the query answers true; AssertionError when that takes too long."""
    deadline = time.monotonic() + STUCK_SECONDS
    while not await database.fetchval(true):
        assert time.monotonic() < deadline, f"not in {STUCK_SECONDS} s: {true}"
        await asyncio.sleep(0.01)


class Watch:
    """How many invoices payments has taken over, as its metrics tell: asking costs next to nothing."""

    def __init__(self, stack: LocalStack, session: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{stack.settings.port_of('payments')}/metrics"
        self._session = session

    async def taken(self) -> int:
        async with self._session.get(self._url) as answer:
            found = TAKEN.search(await answer.text())
        return int(float(found[1])) if found else 0

    async def until(self, wanted: int, say: Callable[[str], None]) -> None:
        """Return once so many were taken; AssertionError when nothing moves any more."""
        last, moved, told = -1, time.monotonic(), time.monotonic()
        while (now := await self.taken()) < wanted:
            if now != last:
                last, moved = now, time.monotonic()
            assert time.monotonic() - moved < STUCK_SECONDS, f"stuck at {now} of {wanted} invoices"
            if time.monotonic() - told > 10:
                say(f"  {now:,} invoices")
                told = time.monotonic()
            await asyncio.sleep(0.05)


def _batches(
    owners: Sequence[str], tag: str, minor: Callable[[int], int] = lambda number: A_MINOR
) -> Iterator[list[tuple[bytes, bytes]]]:
    for first in range(0, len(owners), A_BATCH):
        yield [
            (owner.encode(), _command(owner, f"{tag}-{number}", number, minor(number)))
            for number, owner in enumerate(owners[first : first + A_BATCH], first)
        ]


def _command(owner: str, number: str, count: int, minor: int) -> bytes:
    month, day = 1 + count % 10, 1 + count % 28
    return orjson.dumps({
        "customer_external_id": owner,
        "number": number,
        "currency": "USD",
        "issued_on": f"2026-{month:02}-{day:02}",
        "due_on": f"2026-{month + 1:02}-{day:02}",
        "lines": [{"description": "Subscription", "quantity": 1, "unit_price_minor": minor}],
    })  # fmt: skip


async def _send(producer: AIOKafkaProducer, commands: list[tuple[bytes, bytes]], turn: int) -> None:
    batch = producer.create_batch()
    for key, value in commands:
        headers = [("ce_id", new_id().encode()), ("ce_type", b"IssueInvoice")]
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            raise ValueError("too many commands in one batch")
    batch.close()
    await producer.send_batch(batch, INBOUND.name, partition=turn % PARTITIONS)
