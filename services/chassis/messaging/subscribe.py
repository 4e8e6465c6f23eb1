"""FastStream's side of consuming: one batch subscriber per consumer, offsets committed lazily."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage

from chassis.messaging.consume import Consumer

log = structlog.get_logger()
COMMIT_SECONDS = 1.0


async def _as_they_are(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """The stock parser decodes headers and skips the whole batch when one of them is not UTF-8: take them raw."""
    return KafkaMessage(raw_message=records, body=b"", headers={}, consumer=None)  # type: ignore[arg-type]


async def _raw(message: KafkaMessage) -> Any:
    return message.raw_message


class Subscription:
    """A consumer on its topics. A lost offset is harmless, so offsets are committed once a second."""

    def __init__(self, broker: KafkaBroker, consumer: Consumer, batch_size: int) -> None:
        self._consumer = consumer
        self._done: dict[TopicPartition, int] = {}
        self._subscriber = broker.subscriber(
            *consumer.handlers.topics(),
            group_id=consumer.name,
            batch=True,
            max_records=batch_size,
            batch_timeout_ms=5,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            max_poll_interval_ms=24 * 3600 * 1000,
            session_timeout_ms=6_000,  # a killed replica's partitions go to the others after this
            heartbeat_interval_ms=1_500,
            parser=_as_they_are,
            decoder=_raw,
            no_reply=True,
        )
        self._subscriber(self._take)

    async def _take(self, records: Any) -> None:
        batch: Sequence[ConsumerRecord] = records
        await self._consumer.take(batch)
        for record in batch:
            self._done[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def commit_offsets(self) -> None:
        kafka = self._subscriber.consumer
        done, self._done = self._done, {}
        mine = kafka.assignment() if kafka else ()
        offsets = {place: offset for place, offset in done.items() if place in mine}
        if kafka is None or not offsets:
            return
        try:
            await kafka.commit(offsets)
        except Exception as error:  # beside KafkaError, a rebalance under way raises what it likes
            log.info("offsets not committed yet, seen sequences stand in", error=repr(error))
            self._done = offsets | self._done

    async def run(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self.commit_offsets()


def make_broker(kafka: str, name: str) -> KafkaBroker:
    return KafkaBroker(kafka, client_id=name, apply_types=False, graceful_timeout=8.0, logger=None)


@contextlib.asynccontextmanager
async def subscribed(kafka: str, name: str, consumers: Sequence[Consumer], batch_size: int) -> Any:
    """Consume while the block runs; on leaving, finish the batch and commit its offsets."""
    broker = make_broker(kafka, name)
    subscriptions = [Subscription(broker, consumer, batch_size) for consumer in consumers]
    await broker.start()
    tasks = [asyncio.create_task(subscription.run()) for subscription in subscriptions]
    try:
        yield broker
    finally:
        for task in tasks:
            task.cancel()
        for subscription in subscriptions:
            await subscription.commit_offsets()
        await broker.stop()
