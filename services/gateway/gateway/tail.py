"""Follows the public topics and the end of credentials, without a group: every replica sees everything."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError, OffsetOutOfRangeError
from prometheus_client import Counter, Gauge

from chassis.messaging import patience, reading
from contracts import topics
from gateway.ring import PLACES, STREAMED, Entry, Position, Ring

reading.install()
log = structlog.get_logger()
set_aside = Counter("paidup_tail_set_aside_total", "Records that are no events, passed over by the stream", ["topic"])
unreadable = Gauge(
    "paidup_tail_unreadable", "1 where a partition can't be read, and is left out", ["topic", "partition"]
)

PARTITIONS = [TopicPartition(name, place) for name in STREAMED for place in range(topics.PARTITIONS)]
CREDENTIALS = [TopicPartition(topics.CREDENTIAL.name, place) for place in range(topics.PARTITIONS)]
FRESH_SECONDS = 1.0
ENDED_MS = 500  # so often, at least, Kafka says that no credential has ended
GATHERS_SECONDS = 0.15  # within the second that the stream promises
LOOK_SECONDS = 0.05
NEEDS = ("ce_id", "ce_type", "ce_subject")


class Tail:
    def __init__(self, kafka: Mapping[str, Any], ring: Ring, on_ended: Callable[[str], None]) -> None:
        self._kafka, self._ring, self._on_ended = kafka, ring, on_ended
        self._credentials_at: dict[TopicPartition, int] = {}
        self._unreadable: set[TopicPartition] = set()
        self._consumer: AIOKafkaConsumer | None = None
        self._looked_at, self._fresh = 0.0, False
        self.ready = False

    def fresh(self) -> bool:
        """Whether Kafka has answered within a second for every partition on which credentials end."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at, self._fresh = now, self._consumer is not None and self._heard(self._consumer)
        return self._fresh

    @staticmethod
    def _heard(consumer: AIOKafkaConsumer) -> bool:
        oldest = 1000 * (time.time() - FRESH_SECONDS)
        return all((consumer.last_poll_timestamp(partition) or 0) >= oldest for partition in CREDENTIALS)

    async def run(self) -> None:
        """Until cancelled; after a fault it goes on where it stood."""
        while True:
            try:
                await self._follow()
            except OffsetOutOfRangeError:
                log.warning("the tail lost its place and begins at the end")
                self._credentials_at = {}
            except Exception as error:
                log.warning("the tail starts again", error=repr(error))
            await asyncio.sleep(0.5)

    async def _follow(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            events = await self._reader(stack, PARTITIONS, wait_ms=patience.SHORTEST_MS)
            patience.gather(events, GATHERS_SECONDS)
            ended = await self._reader(stack, CREDENTIALS, wait_ms=ENDED_MS)
            await self._take_place(events, ended)
            self._consumer = ended
            self.ready = True
            reading = [asyncio.create_task(self._read(events, True)), asyncio.create_task(self._read(ended, False))]
            try:
                await asyncio.gather(*reading)
            finally:
                self._consumer = None
                for task in reading:
                    task.cancel()
                await asyncio.wait(reading)

    async def _reader(
        self, stack: contextlib.AsyncExitStack, places: list[TopicPartition], *, wait_ms: int
    ) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._kafka, group_id=None, enable_auto_commit=False, auto_offset_reset="none",
            fetch_max_wait_ms=wait_ms, request_timeout_ms=10_000, check_crcs=False,
        )  # fmt: skip
        stack.push_async_callback(consumer.stop)
        consumer.assign([place for place in places if place not in self._unreadable])
        await consumer.start()
        return consumer

    async def _read(self, consumer: AIOKafkaConsumer, rests: bool) -> None:
        while True:
            found = await self._more(consumer)
            if rests:
                patience.rest(consumer, bool(found))
            self._take(found)

    async def _more(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, list[Any]]:
        try:
            return await consumer.getmany(timeout_ms=1000, max_records=2000)  # type: ignore[no-any-return]
        except (KafkaError, ConsumerStoppedError):
            raise
        except Exception:
            await self._leave_out(consumer)
            raise

    async def _leave_out(self, consumer: AIOKafkaConsumer) -> None:
        """Find the partitions that the library can't read, and start again without them."""
        places = self._places()
        for place in consumer.assignment():
            consumer.seek(place, places[place])
            try:
                await consumer.getmany(place, timeout_ms=200)
            except KafkaError:
                raise
            except Exception as error:
                self._unreadable.add(place)
                unreadable.labels(place.topic, str(place.partition)).set(1)
                log.error("a partition can't be read, the stream goes on without it", partition=str(place),
                          error=repr(error))  # fmt: skip

    def _places(self) -> dict[TopicPartition, int]:
        return dict(zip(PARTITIONS, self._ring.head.offsets, strict=True)) | self._credentials_at

    async def _take_place(self, events: AIOKafkaConsumer, ended: AIOKafkaConsumer) -> None:
        if not self._credentials_at:
            at = await events.end_offsets(PARTITIONS)
            self._ring.start(Position([at[partition] for partition in PARTITIONS]))
            self._credentials_at = dict(await ended.end_offsets(CREDENTIALS))
        places = self._places()
        for consumer in (events, ended):
            for partition in consumer.assignment():
                consumer.seek(partition, places[partition])

    def _take(self, batches: dict[TopicPartition, list[Any]]) -> None:
        now = time.monotonic()
        for partition, records in batches.items():
            start = PLACES.get(partition.topic)
            if start is None:
                self._take_ended(partition, records)
                continue
            for record in records:
                place, said = start + partition.partition, dict(record.headers)
                if not all(said.get(name) for name in NEEDS):
                    self._set_aside(record, "it is no event: a header is missing")
                    self._ring.pass_over(place, record.offset)
                    continue
                value, customer = record.value or b"null", said.get("customer")
                self._ring.add(
                    Entry(
                        place, record.offset, partition.topic, record.headers, value, now,
                        None if customer is None else _text(customer),
                    )
                )  # fmt: skip
        self._ring.trim()
        if batches:
            self._ring.wake()

    def _take_ended(self, partition: TopicPartition, records: list[Any]) -> None:
        for record in records:
            said = dict(record.headers)
            if said.get("ce_type") == b"CredentialEnded":
                if credential_id := _text(record.key or said.get("ce_subject")):
                    self._on_ended(credential_id)
                else:
                    self._set_aside(record, "it names no credential")
        self._credentials_at[partition] = records[-1].offset + 1

    @staticmethod
    def _set_aside(record: Any, why: str) -> None:
        set_aside.labels(record.topic).inc()
        log.error("record set aside", topic=record.topic, partition=record.partition, offset=record.offset, why=why)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
