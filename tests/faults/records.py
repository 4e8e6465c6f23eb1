"""Records of scenarios: read whole topics, write copies and poison past the services, await what consumers took."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis.messaging import reading
from contracts.topics import PARTITIONS, TOPICS
from tests.faults.load import WrongError
from tests.kit.stack import LocalStack

reading.install()  # poison of an earlier scenario may stand in the topics
PUBLIC = tuple(topic.name for topic in TOPICS if topic.public)
COPY = "copy"
Headers = list[tuple[str, bytes]]


async def ends(kafka: Mapping[str, Any], topics: Iterable[str] = PUBLIC) -> dict[TopicPartition, int]:
    """The next offset of each partition."""
    places = [TopicPartition(topic, partition) for topic in topics for partition in range(PARTITIONS)]
    async with AIOKafkaConsumer(**kafka) as consumer:
        return dict(await consumer.end_offsets(places))


async def read_all(kafka: Mapping[str, Any], topics: Sequence[str] = PUBLIC) -> list[ConsumerRecord]:
    """Every record that the topics hold now, each partition's in order."""
    until = {place: end for place, end in (await ends(kafka, topics)).items() if end}
    found: list[ConsumerRecord] = []
    async with AIOKafkaConsumer(**kafka, enable_auto_commit=False) as consumer:
        consumer.assign(list(until))
        await consumer.seek_to_beginning()
        while any([await consumer.position(place) < end for place, end in until.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
    return found


def shuffled(records: Sequence[ConsumerRecord], dice: random.Random) -> list[ConsumerRecord]:
    """Shuffled across keys, in order within each."""
    by_key: dict[tuple[str, bytes | None], list[ConsumerRecord]] = defaultdict(list)
    for record in records:
        by_key[record.topic, record.key].append(record)
    turns = [place for place, some in by_key.items() for _ in some]
    dice.shuffle(turns)
    waiting = {place: iter(some) for place, some in by_key.items()}
    return [next(waiting[place]) for place in turns]


async def copy(producer: AIOKafkaProducer, records: Iterable[ConsumerRecord]) -> int:
    """Write the records again where they were, in this order; how many."""
    sent = [
        await producer.send(
            record.topic, record.value, record.key, record.partition, headers=[*record.headers, (COPY, b"1")]
        )
        for record in records
    ]
    await asyncio.gather(*sent)
    return len(sent)


class Echo:
    """Writes each new public record twice more, soon after it, until it is told to stop."""

    def __init__(self, kafka: Mapping[str, Any]) -> None:
        self._kafka = kafka
        self._stop = asyncio.Event()
        self.copies = 0

    async def run(self, began: asyncio.Event) -> None:
        consumer = AIOKafkaConsumer(*PUBLIC, **self._kafka, auto_offset_reset="latest")
        async with consumer, AIOKafkaProducer(**self._kafka, linger_ms=2) as producer:
            await asyncio.gather(*(consumer.position(place) for place in consumer.assignment()))
            began.set()
            while not self._stop.is_set():
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    fresh = [record for record in records if COPY not in dict(record.headers)]
                    self.copies += await copy(producer, [*fresh, *fresh])

    def stop(self) -> None:
        self._stop.set()


async def taken_up_to(stack: LocalStack, group: str, until: dict[TopicPartition, int], seconds: float = 60) -> None:
    """Return once the group has committed these offsets; WrongError names where it stood still for so many seconds."""
    admin = AIOKafkaAdminClient(**stack.kafka())
    await admin.start()
    try:
        end, before = time.monotonic() + seconds, None
        while True:
            at = await admin.list_consumer_group_offsets(group)
            if at != before:
                end, before = time.monotonic() + seconds, at
            behind = {p: o for p, o in until.items() if o and (p not in at or at[p].offset < o)}
            if not behind:
                return
            if time.monotonic() > end:
                where = [
                    f"{p.topic}/{p.partition} at {at[p].offset if p in at else None} of {o}" for p, o in behind.items()
                ]
                raise WrongError(f"{group} stands still: {', '.join(where[:5])}")
            await asyncio.sleep(0.3)
    finally:
        await admin.close()


async def state(stack: LocalStack) -> dict[str, Any]:
    """A digest of every table that an event of the public topics could change."""
    tables = {
        "invoicing": ("invoices", "entries", "reservations", "credits", "credit_entries", "customers", "seen",
                      "seen_commands"),
        "payments": ("payments", "attempts", "ledger_transactions", "ledger_entries", "invoices", "customers", "seen"),
        "auth": ("customers", "people", "payer_links", "seen"),
        "notify": ("customers", "invoices", "mails", "methods", "payers", "people", "seen"),
        "support": ("customers", "invoices", "payments", "people", "ticket_events", "tickets", "seen"),
    }  # fmt: skip
    found: dict[str, Any] = {}
    for service, names in tables.items():
        connection = await asyncpg.connect(stack.database_url(service))
        try:
            for name in names:
                digest = f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t"
                found[f"{service}.{name}"] = await connection.fetchval(digest)
        finally:
            await connection.close()
    return found
