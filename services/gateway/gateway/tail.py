"""Follows the public topics and the revocation of keys, without a group: every replica sees everything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from contracts import topics
from contracts.auth import KeyRevoked
from gateway.ring import PLACES, STREAMED, Entry, Position, Ring

log = structlog.get_logger()

PARTITIONS = [TopicPartition(name, place) for name in STREAMED for place in range(topics.PARTITIONS)]
KEY_PARTITIONS = [TopicPartition(topics.KEY.name, place) for place in range(topics.PARTITIONS)]
FRESH_SECONDS = 1.0
LOOK_SECONDS = 0.05


class Tail:
    def __init__(self, kafka: str, ring: Ring, on_key_revoked: Callable[[str], None]) -> None:
        self._kafka, self._ring, self._on_key_revoked = kafka, ring, on_key_revoked
        self._keys_at: dict[TopicPartition, int] = {}
        self._consumer: AIOKafkaConsumer | None = None
        self._looked_at, self._fresh = 0.0, False
        self.ready = False

    def fresh(self) -> bool:
        """Whether Kafka has said within a second what there is of every partition that tells of revoked keys."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_SECONDS:
            self._looked_at, self._fresh = now, self._consumer is not None and self._heard(self._consumer)
        return self._fresh

    @staticmethod
    def _heard(consumer: AIOKafkaConsumer) -> bool:
        oldest = 1000 * (time.time() - FRESH_SECONDS)
        return all((consumer.last_poll_timestamp(partition) or 0) >= oldest for partition in KEY_PARTITIONS)

    async def run(self) -> None:
        """Until cancelled; after a fault it goes on where it stood."""
        while True:
            try:
                await self._follow()
            except OffsetOutOfRangeError:
                log.warning("the tail lost its place and begins at the end")
                self._keys_at = {}
            except Exception as error:
                log.warning("the tail starts again", error=repr(error))
            await asyncio.sleep(0.5)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._kafka, group_id=None, enable_auto_commit=False, auto_offset_reset="none",
            fetch_min_bytes=262_144, fetch_max_wait_ms=150, request_timeout_ms=10_000, check_crcs=False,
        )  # fmt: skip
        consumer.assign([*PARTITIONS, *KEY_PARTITIONS])
        try:
            await consumer.start()
            await self._take_place(consumer)
            self._consumer = consumer
            self.ready = True
            while True:
                batches = await consumer.getmany(timeout_ms=1000, max_records=2000)
                self._take(batches)
        finally:
            self._consumer = None
            await consumer.stop()

    async def _take_place(self, consumer: AIOKafkaConsumer) -> None:
        if self._keys_at:
            at = dict(zip(PARTITIONS, self._ring.head.offsets, strict=True)) | self._keys_at
        else:
            at = await consumer.end_offsets([*PARTITIONS, *KEY_PARTITIONS])
            self._ring.start(Position([at[partition] for partition in PARTITIONS]))
            self._keys_at = {partition: at[partition] for partition in KEY_PARTITIONS}
        for partition, offset in at.items():
            consumer.seek(partition, offset)

    def _take(self, batches: dict[TopicPartition, list[Any]]) -> None:
        now = time.monotonic()
        for partition, records in batches.items():
            start = PLACES.get(partition.topic)
            if start is None:
                self._take_keys(partition, records)
                continue
            for record in records:
                self._ring.add(
                    Entry(
                        start + partition.partition, record.offset, partition.topic, record.headers,
                        record.value or b"null", now, _customer(record.headers),
                    )
                )  # fmt: skip
        self._ring.trim()
        if batches:
            self._ring.wake()

    def _take_keys(self, partition: TopicPartition, records: list[Any]) -> None:
        for record in records:
            if (b"ce_type", KeyRevoked.__name__) in ((name.encode(), _text(value)) for name, value in record.headers):
                self._on_key_revoked(record.key.decode())
        self._keys_at[partition] = records[-1].offset + 1


def _customer(headers: Any) -> str | None:
    for name, value in headers:
        if name == "customer":
            return _text(value)
    return None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
