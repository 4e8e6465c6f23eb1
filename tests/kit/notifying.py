"""A process of notify beside its database and a mail server, without the rest of a stack."""

from __future__ import annotations

import asyncio
import contextlib
import json
import pathlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
from joserfc.jwk import OKPKey

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.jobs import repeat
from chassis.messaging.consume import Consumer
from chassis.messaging.wake import Bell
from chassis.messaging.work import Units
from chassis.running import Running
from chassis.tasks.worker import Worker
from contracts import auth, invoicing, payments
from contracts.envelope import Amount, Event, message
from contracts.ids import new_id
from notify.__main__ import resources
from notify.handlers import handlers
from notify.jobs import JOBS, QUEUES
from notify.mailing import AT_ONCE, MAILS
from notify.own import Own
from notify.settings import Settings
from sandbox.mail.inbox import Inbox
from sandbox.mail.smtp import Receiving
from tests.kit import mails
from tests.kit.postgres import Database, drop_database, fresh_database
from tests.kit.provider_sandbox import free_port


@dataclass
class Raw:
    """A record as Kafka hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass
class Desk:
    """What a test does with notify. `said` counts the events of each aggregate."""

    database: Database
    running: Running[Own]
    consumer: Consumer
    inbox: Inbox
    receiving: Receiving
    public_key: dict[str, Any]
    said: dict[tuple[str, str], int] = field(default_factory=dict)

    def record(self, event: Event, *, actor: str | None = None, time: datetime | None = None) -> Raw:
        """The event as the next of its aggregate."""
        place = (event.topic.name, event.aggregate_id)
        self.said[place] = self.said.get(place, 0) + 1
        customer = getattr(event, "customer_id", None)
        made = message(event, sequence=self.said[place], time=time or datetime.now(UTC), customer=customer)
        more = {"actor": actor} if actor else {}
        headers = made.headers(f"paidup/{event.topic.owner}", **more)
        return Raw(made.topic, 0, sum(self.said.values()), made.aggregate.encode(), made.body, headers)

    async def hear(self, *events: Event, actor: str | None = None, time: datetime | None = None) -> None:
        """Take the events in one batch."""
        await self.consumer.take([self.record(event, actor=actor, time=time) for event in events])

    async def contact(
        self, address: str | None = None, customer: str | None = None, **more: Any
    ) -> auth.ContactChanged:
        event = auth.ContactChanged(
            **{
                "contact_id": new_id(), "customer_id": customer or new_id(), "name": "Ann Ng", "language": "en",
                "email": address or f"{new_id()}@example.com", "enabled": True, **more,
            }
        )  # fmt: skip
        await self.hear(event)
        return event

    def code(self, person_id: str, code: str = "271828", **more: Any) -> auth.SignInCodeMade:
        return auth.SignInCodeMade(person_id=person_id, sealed=mails.sealed(self.public_key, code=code), **more)

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """The workers of the queues, and the jobs."""
        workers = [asyncio.create_task(Worker(QUEUES.by_name[name], self.running).run()) for name in (MAILS, AT_ONCE)]
        workers += [asyncio.create_task(repeat(job, self.running)) for job in JOBS]
        try:
            yield
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)

    async def until(self, holds: Callable[[list[Any]], bool], seconds: float = 20) -> list[Any]:
        """The rows of mails in their order, once they hold."""
        end = asyncio.get_running_loop().time() + seconds
        while not holds(rows := await self.mails()):
            assert asyncio.get_running_loop().time() < end, [dict(row) for row in rows]
            await asyncio.sleep(0.01)
        return rows

    async def ended(self, count: int = 1, seconds: float = 20) -> list[Any]:
        """All mails, once there are so many and none waits."""
        return await self.until(
            lambda rows: len(rows) == count and all(row["state"] != "queued" for row in rows), seconds
        )

    async def mails(self) -> list[asyncpg.Record]:
        return list(await self.running.pool.fetch("SELECT * FROM mails ORDER BY place"))

    async def tasks(self) -> list[asyncpg.Record]:
        return list(await self.running.pool.fetch("SELECT * FROM tasks ORDER BY due_at"))

    def caught(self) -> list[dict[str, Any]]:
        """What the mail server has, the oldest first."""
        return [one.read() for one in reversed(list(self.inbox.newest(None, 10_000)))]

    async def everything(self) -> str:
        """Every row of every table as text."""
        tables = await self.running.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        connection = await asyncpg.connect(self.database.owner_url)
        try:
            rows = [await connection.fetch(f"SELECT t::text FROM {one['tablename']} t") for one in tables]
        finally:
            await connection.close()
        return "\n".join(row[0] for each in rows for row in each)


def usd(minor: int) -> Amount:
    return Amount(amount_minor=minor, currency="USD")


def receipt(customer: str, minor: int = 12_500, **more: Any) -> payments.PaymentReconciled:
    body = {"payment_id": new_id(), "customer_id": customer, "way": "receive", "status": "succeeded"}
    rest = {"amount": usd(minor), "surcharge": usd(0), "total": usd(minor), "number": "P-7K3M9-2QXTB"}
    return payments.PaymentReconciled(**{**body, **rest, **more})


def invoice(customer: str, number: str = "INV-1", minor: int = 12_500, **more: Any) -> invoicing.InvoiceIssued:
    return invoicing.InvoiceIssued(
        invoice_id=new_id(), customer_id=customer, number=number, status="open", issued_on="2026-03-01",
        due_on="2026-03-31", total=usd(minor), credited=usd(0), settled=usd(0), balance=usd(minor), pending=usd(0),
        payable_now=usd(minor), **more,
    )  # fmt: skip


def settings_of(database: Database, folder: pathlib.Path, **more: Any) -> tuple[Settings, dict[str, Any]]:
    """Settings of notify, and the public half of its key."""
    key = OKPKey.generate_key("X25519", auto_kid=True)
    private = folder / "notify-private.json"
    private.write_text(json.dumps(key.as_dict(private=True)))
    fields = {
        "private_key": private, "unsubscribe_secret": "s", "sender": "billing@example.com", "smtp_starttls": "off",
        "public_url": "http://portal", "clock_file": folder / "clock", "owner_url": database.owner_url,
        "api_url": database.api_url, "work_url": database.work_url, "smtp_seconds": 5,
    }  # fmt: skip
    return Settings(**{**fields, **more}), dict(key.as_dict(private=False))


@contextlib.asynccontextmanager
async def desk_of(folder: pathlib.Path, **more: Any) -> AsyncIterator[Desk]:
    """A desk on a fresh database, with a mail server that is there unless another port is given."""
    database = await fresh_database("notify")
    serves, inbox = "smtp_port" not in more, Inbox()
    port = more.pop("smtp_port", None) or free_port()
    receiving = Receiving(inbox, "127.0.0.1", port)
    settings, public_key = settings_of(database, folder, smtp_port=port, **more)
    clock = Clock("America/New_York", settings.clock_file)
    try:
        async with await open_pool(database.work_url, size=8, application="test") as pool, resources(settings) as held:
            units = Units(pool, clock, Bell(pool, works=True))
            if serves:
                await receiving.come()
            running = Running(settings, clock, pool, units, held)
            yield Desk(database, running, Consumer(handlers, units), inbox, receiving, public_key)
    finally:
        receiving.go_away()
        await drop_database(database)
