"""Everything that a stack keeps, as bytes, to search for what must not be there."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.services import WITH_DATABASE
from contracts.topics import PARTITIONS, TOPICS
from paidup_local import postgres
from tests.kit.stack import LocalStack


def all_tables(stack: LocalStack) -> dict[str, bytes]:
    """Every table of every service, as text, by its name."""
    return asyncio.run(_all_tables(stack))


async def _all_tables(stack: LocalStack) -> dict[str, bytes]:
    admin, found = urlsplit(postgres.admin_dsn(stack.settings)), {}
    for service in WITH_DATABASE:
        connection = await asyncpg.connect(admin._replace(path=f"/{service}").geturl())
        try:
            names = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            for (name,) in await connection.fetch(names):
                rows = await connection.fetch(f'SELECT t::text, to_jsonb(t)::text FROM "{name}" t')
                text = "\n".join(f"{row[0]}\n{row[1]}" for row in rows)
                found[f"table {service}.{name}"] = text.encode() + b"\n" + _bytes_in(text)
        finally:
            await connection.close()
    return found


def _bytes_in(text: str) -> bytes:
    """What stands there as a byte string, too, as in `\\x7b7d`."""
    parts = []
    for part in text.split("\\\\x")[1:]:
        digits = part.partition('"')[0]
        try:
            parts.append(bytes.fromhex(digits))
        except ValueError:
            continue
    return b"\n".join(parts)


async def all_topics(stack: LocalStack) -> dict[str, bytes]:
    """Every record of every topic, with its key and headers."""
    found = {f"topic {topic.name}": b"" for topic in TOPICS}
    async with AIOKafkaConsumer(
        **stack.kafka(), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", check_crcs=False
    ) as consumer:
        for topic in TOPICS:
            places = [TopicPartition(topic.name, place) for place in consumer.partitions_for_topic(topic.name) or ()]
            if not places:
                places = [TopicPartition(topic.name, place) for place in range(PARTITIONS)]
            ends = await consumer.end_offsets(places)
            places = [place for place in places if ends[place]]
            consumer.assign(places)
            if places:
                await consumer.seek_to_beginning()
            while [place for place in places if await consumer.position(place) < ends[place]]:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        headers = b" ".join(name.encode() + b"=" + value for name, value in record.headers)
                        found[f"topic {topic.name}"] += b"\n".join(
                            (record.key or b"", headers, record.value or b"", b"")
                        )
    return found


async def newest_of(stack: LocalStack, topic: str, key: str) -> bytes | None:
    """The body of the newest record of a key; None: it is erased."""
    newest: bytes | None = b"no record"
    async with AIOKafkaConsumer(
        **stack.kafka(), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as consumer:
        places = [TopicPartition(topic, place) for place in range(PARTITIONS)]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                newest = next((one.value for one in reversed(records) if one.key == key.encode()), newest)
    return newest
