"""A process of support beside its database, without the rest of a stack: who asks it, and what it hears."""

from __future__ import annotations

import contextlib
import itertools
import json
import pathlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from joserfc import jwe
from joserfc.jwk import OKPKey
from pydantic import SecretStr

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.http.identity import Identity, TokenSigner
from chassis.messaging.consume import Consumer
from chassis.messaging.wake import Bell
from chassis.messaging.work import Units
from chassis.running import Running
from contracts import auth, invoicing, payments
from contracts.envelope import Event, message
from contracts.ids import new_id
from support.__main__ import resources, service
from support.handlers import handlers
from support.mails.domain.addresses import Addresses
from support.own import Own
from support.settings import Settings
from tests.kit.notifying import Raw, invoice, usd
from tests.kit.postgres import Database, drop_database, fresh_database
from tests.kit.serving import serving, write_keys
from tests.kit.two_customers import contact_of, visitor_of

ALL = frozenset({"*"})
REPLIES = Addresses("replies.example", b"secret of these tests")


@dataclass
class Acme:
    """A customer with a contact, an account manager, an invoice and a payment that is under way."""

    id: str
    contact: str
    manager: str
    invoice: str
    payment: str


@dataclass
class Help:
    """What a test does with support. `said` counts the events of each aggregate."""

    url: str
    database: Database
    running: Running[Own]
    consumer: Consumer
    signer: TokenSigner
    opener: OKPKey
    clock_file: pathlib.Path
    said: dict[tuple[str, str], int] = field(default_factory=dict)
    offsets: itertools.count[int] = field(default_factory=itertools.count)

    def record(self, event: Event, *, time: datetime | None = None) -> Raw:
        """The event as the next of its aggregate."""
        place = (event.topic.name, event.aggregate_id)
        self.said[place] = self.said.get(place, 0) + 1
        customer = getattr(event, "customer_id", None)
        made = message(event, sequence=self.said[place], time=time or datetime.now(UTC), customer=customer)
        headers = made.headers(f"paidup/{event.topic.owner}")
        return Raw(made.topic, 0, next(self.offsets), made.aggregate.encode(), made.body, headers)

    async def hear(self, *events: Event, time: datetime | None = None) -> None:
        await self.consumer.take([self.record(event, time=time) for event in events])

    def client(self, who: Identity) -> httpx2.AsyncClient:
        token, _ = self.signer.sign(who, "support")
        return httpx2.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    def contact(self, acme: Acme, contact: str | None = None) -> httpx2.AsyncClient:
        who = contact_of(acme.id, int(time.time()))
        return self.client(Identity(contact or acme.contact, "contact", who.scopes, acme.id, session=new_id()))

    def visitor(self, acme: Acme) -> httpx2.AsyncClient:
        who = visitor_of(acme.id, int(time.time()))
        return self.client(Identity(acme.manager, "staff", who.scopes, acme.id, acting_for=acme.id, session=new_id()))

    def staff(self, person_id: str) -> httpx2.AsyncClient:
        return self.client(Identity(person_id, "staff", ALL, session=new_id()))

    def program(self, customer_id: str | None = None) -> httpx2.AsyncClient:
        return self.client(Identity(new_id(), "system", ALL, customer_id))

    async def person(self, name: str, **more: Any) -> str:
        """One of the company's people."""
        found = {"staff_id": new_id(), "email": f"{new_id()}@paidup.example", "role": "account_manager", **more}
        await self.hear(auth.StaffChanged(name=name, language="en", enabled=True, **found))
        return str(found["staff_id"])

    async def person_of(self, customer_id: str, name: str = "Ann Ng", **more: Any) -> str:
        """A contact."""
        found: dict[str, Any] = {"email": f"{new_id()}@example.com", "enabled": True, **more}
        event = auth.ContactChanged(contact_id=new_id(), customer_id=customer_id, name=name, language="en", **found)
        await self.hear(event)
        return event.contact_id

    async def acme(self, **more: Any) -> Acme:
        customer, manager = new_id(), await self.person("Lee Roy", email=f"lee-{new_id()}@paidup.example")
        address = await self.running.pool.fetchval("SELECT email FROM people WHERE id = $1", manager)
        contact = await self.person_of(customer)
        lines = (usd(10_000), usd(3_000), usd(-500))
        issued, paid = invoice(customer, f"INV-{new_id()[-6:]}", lines=lines), payment(customer)
        named = {"external_id": customer, "name": "Acme Corp", "account_manager": address, **more}
        await self.hear(invoicing.CustomerChanged(customer_id=customer, **named), issued, paid)
        return Acme(customer, contact, manager, issued.invoice_id, paid.payment_id)

    async def events(self, ticket_id: str) -> list[tuple[str, int, dict[str, Any]]]:
        """What was said of a ticket on the public topic: type, sequence, body."""
        return await self._outbox("support.ticket.v1", ticket_id)

    async def notices(self, ticket_id: str) -> list[dict[str, Any]]:
        """What notify is to mail of a ticket, opened."""
        found = [body for _, _, body in await self._outbox("support.notice.v1", ticket_id)]
        return [{**body, **self._opened(body.pop("sealed"))} for body in found]

    def _opened(self, sealed: str) -> dict[str, str]:
        text = jwe.decrypt_compact(sealed, self.opener, algorithms=["ECDH-ES", "A256GCM"]).plaintext
        opened: dict[str, str] = json.loads(text or b"{}")
        return opened

    async def _outbox(self, topic: str, aggregate: str) -> list[tuple[str, int, dict[str, Any]]]:
        sql = "SELECT type, sequence, payload FROM outbox WHERE topic = $1 AND aggregate = $2 ORDER BY sequence"
        rows = await self.running.pool.fetch(sql, topic, aggregate)
        return [(row["type"], row["sequence"], json.loads(row["payload"])) for row in rows]

    def move(self, later: timedelta) -> None:
        """Set the business clock so much ahead."""
        self.clock_file.write_text(str(later.total_seconds()))


def payment(customer: str, event: type[payments.PaymentState] = payments.PaymentSubmitted, **more: Any) -> Any:
    body: Mapping[str, Any] = {
        "payment_id": new_id(), "customer_id": customer, "way": "collect", "status": "submitted", "amount": usd(12_500),
        "surcharge": usd(0), "total": usd(12_500), "number": "P-7K3M9-2QXTB", "reconciliation": "waiting",
    }  # fmt: skip
    return event(**{**body, **more})


@contextlib.asynccontextmanager
async def help_of(folder: pathlib.Path, scanner: str = "") -> AsyncIterator[Help]:
    """Support on a fresh database, with its files below the folder. `scanner`: where clamd is."""
    database = await fresh_database("support")
    private, public = write_keys(folder)
    _, notify = write_keys(folder, curve="X25519")
    clock_file = folder / "clock"
    settings = Settings(
        public_keys=public, notify_keys=notify, kafka="127.0.0.1:1", clock_file=clock_file,
        files=str(folder / "files"), files_secret=SecretStr("of-these-tests-alone"), files_scanner=scanner,
        mail_domain=REPLIES.domain, mail_secret=REPLIES.secret.decode(),
        owner_url=database.owner_url, api_url=database.api_url, work_url=database.work_url,
    )  # fmt: skip
    opener = OKPKey.import_key(json.loads((folder / "notify-private.json").read_text()))
    clock = Clock("America/New_York", clock_file)
    try:
        async with (
            await open_pool(database.work_url, size=4, application="test") as pool,
            resources(settings) as own,
            serving(service.app(settings, work=False)) as url,
        ):
            units = Units(pool, clock, Bell(pool, works=True), own)
            running = Running(settings, clock, pool, units, own)
            yield Help(url, database, running, Consumer(handlers, units), TokenSigner(private), opener, clock_file)
    finally:
        await drop_database(database)
