"""A command that can't be read is answered, and set aside for a person."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest
import pytest_asyncio

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.consume import Consumer
from chassis.messaging.work import Units, Wake
from contracts.ids import new_id
from invoicing import handlers
from tests.kit.postgres import drop_database, fresh_database


@dataclass
class Raw:
    """A record as Kafka hands it over."""

    headers: list[tuple[str, bytes]]
    offset: int = 7
    topic: str = "invoicing.inbound.v1"
    partition: int = 3
    key: bytes | None = b"INV-7"
    value: bytes | None = b"{}"


@pytest_asyncio.fixture
async def units() -> AsyncIterator[Units]:
    database = await fresh_database("invoicing")
    pool = await open_pool(database.work_url, size=4, application="test")
    yield Units(pool, Clock("UTC"), Wake())
    await pool.close()
    await drop_database(database)


class TestUnreadableCommands:
    @pytest.mark.parametrize(
        ("headers", "why"),
        [
            ([("ce_type", b"IssueInvoice")], "header ce_id is missing"),
            ([("ce_id", b"1")], "header ce_type is missing"),
            ([("ce_id", b"1"), ("ce_type", b"\xff")], "a header is not UTF-8"),
        ],
    )
    async def test_its_sender_hears_why_once(self, units: Units, headers: list[tuple[str, bytes]], why: str) -> None:
        consumer = Consumer(handlers.commands, units)
        await consumer.take([Raw(headers)])
        await consumer.take([Raw(headers)])
        (row,) = await units.pool.fetch("SELECT type, aggregate, payload FROM outbox")
        said = orjson.loads(row["payload"])
        assert (row["type"], row["aggregate"]) == ("CommandRefused", "invoicing.inbound.v1/3/7")
        assert (said["code"], said["detail"]) == ("unreadable-command", f"{why} (key 'INV-7'); it was not taken")
        assert await units.pool.fetchval("SELECT count(*) FROM dead_letters WHERE state = 'unreadable'") == 1

    async def test_a_mistyped_type_is_refused_once(self, units: Units) -> None:
        consumer = Consumer(handlers.commands, units)
        typed = Raw([("ce_id", b"c-1"), ("ce_type", b"DeleteInvoice")])
        await consumer.take([typed])
        await consumer.take([typed])
        (row,) = await units.pool.fetch("SELECT type, aggregate, payload FROM outbox")
        said = orjson.loads(row["payload"])
        assert (row["type"], row["aggregate"], said["code"]) == ("CommandRefused", "c-1", "unknown-command")
        assert "IssueInvoice" in said["detail"]

    async def test_readable_one_beside_it_is_taken(self, units: Units) -> None:
        body = orjson.dumps({"external_id": "ACME", "name": "Acme"})
        good = Raw([("ce_id", new_id().encode()), ("ce_type", b"CreateCustomer")], offset=8, value=body)
        await Consumer(handlers.commands, units).take([Raw([]), good])
        said = await units.pool.fetch("SELECT type FROM outbox WHERE topic = 'invoicing.outcomes.v1' ORDER BY id")
        assert [row["type"] for row in said] == ["CommandRefused", "CommandAccepted"]
