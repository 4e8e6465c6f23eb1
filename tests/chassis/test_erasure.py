"""Events without a body: they reach Kafka, erase what it held, and are handled by those who kept it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from chassis.clock import Clock
from chassis.db.pool import open_pool
from chassis.messaging.consume import Consumer
from chassis.messaging.handlers import Handlers
from chassis.messaging.outbox import Relay
from chassis.messaging.records import Received
from chassis.messaging.wake import Bell
from chassis.messaging.work import Units, Wake, Work
from contracts.envelope import Message, message
from contracts.ids import new_id
from contracts.invoicing import CustomerChanged, CustomerErased
from tests.kit import kafka
from tests.kit.postgres import SERVICES, Database, drop_database, fresh_database

NOWHERE = SERVICES / "none"


@dataclass
class Records:
    """A database with a table of names, which a consumer keeps."""

    pool: asyncpg.Pool
    database: Database

    def consumer(self) -> Consumer:
        handlers = Handlers("names")

        @handlers.on(CustomerChanged)
        async def keep(event: CustomerChanged, work: Work) -> None:
            await work.connection.execute("INSERT INTO names VALUES ($1, $2)", event.customer_id, event.name)

        @handlers.on_many(CustomerErased)
        async def forget(events: Sequence[Received[CustomerErased]], work: Work) -> None:
            ids = [received.event.customer_id for received in events]
            await work.connection.execute("DELETE FROM names WHERE id = ANY($1)", ids)

        return Consumer(handlers, Units(self.pool, Clock("UTC"), Wake()))

    async def names(self) -> list[str]:
        return [row["name"] for row in await self.pool.fetch("SELECT name FROM names ORDER BY name")]


@pytest_asyncio.fixture
async def records() -> AsyncIterator[Records]:
    database = await fresh_database("auth", NOWHERE)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("CREATE TABLE names (id text, name text)")
    await owner.close()
    pool = await open_pool(database.work_url, size=4, application="test")
    yield Records(pool, database)
    await pool.close()
    await drop_database(database)


def changed(customer: str, sequence: int, name: str = "Acme") -> Message:
    event = CustomerChanged(customer_id=customer, external_id="A", name=name)
    return message(event, sequence=sequence, time=datetime.now(UTC), customer=customer)


def erased(customer: str, sequence: int) -> Message:
    event = CustomerErased(customer_id=customer)
    return message(event, sequence=sequence, time=datetime.now(UTC), customer=customer)


async def published(records: Records, *messages: Message) -> list[ConsumerRecord]:
    """What stands in Kafka of the messages once the relay has published them."""
    bootstrap, bell = await kafka.create_contract_topics(), Bell(records.pool)
    relay = Relay(records.database.work_url, kafka.client(bootstrap), "paidup/invoicing", bell)
    async with Units(records.pool, Clock("UTC"), bell).begin() as work:
        work.emit(*messages)
    running = asyncio.create_task(relay.run())
    keys, found = {one.aggregate.encode() for one in messages}, list[ConsumerRecord]()
    async with (
        asyncio.timeout(30),
        AIOKafkaConsumer(messages[0].topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as reader,
    ):
        while len(found) < len(messages):
            found += [record async for record in _some(reader) if record.key in keys]
    relay.stop()
    await running
    return found


async def _some(reader: AIOKafkaConsumer) -> AsyncIterator[ConsumerRecord]:
    for batch in (await reader.getmany(timeout_ms=200)).values():
        for record in batch:
            yield record


class TestErasure:
    async def test_a_null_body_reaches_kafka_and_its_handler(self, records: Records) -> None:
        customer, other = new_id(), new_id()
        found = await published(records, changed(customer, 1), changed(other, 1, "Bolt"), erased(customer, 2))
        assert [record.value is None for record in found if record.key == customer.encode()] == [False, True]
        await records.consumer().take(found)
        assert await records.names() == ["Bolt"]
        assert await records.pool.fetchval("SELECT count(*) FROM dead_letters") == 0

    async def test_a_compacted_topic_may_begin_with_it(self, records: Records) -> None:
        customer = new_id()
        found = await published(records, changed(customer, 1), erased(customer, 2), changed(customer, 3, "Again"))
        await records.consumer().take(found[1:])  # Kafka let go of the first
        assert await records.names() == ["Again"]
        assert await records.pool.fetchval("SELECT count(*) FROM parked") == 0

    async def test_another_null_body_is_set_aside(self, records: Records) -> None:
        (record,) = await published(records, changed(new_id(), 1))
        record.value = None
        await records.consumer().take([record])
        assert await records.pool.fetchval("SELECT error FROM dead_letters") == "the body is null"
