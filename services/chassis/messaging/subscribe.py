"""FastStream's side of consuming: one batch subscriber per consumer, offsets committed lazily."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from prometheus_client import Gauge

from chassis.messaging import patience, reading
from chassis.messaging.consume import Consumer

reading.install()
log = structlog.get_logger()
unreadable = Gauge("paidup_partition_unreadable", "1 where a partition stands still", ["topic", "partition"])
COMMIT_SECONDS, AGAIN_SECONDS = 1.0, 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0


async def _as_they_are(records: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """The stock parser decodes headers and skips the whole batch when one of them is not UTF-8: take them raw."""
    return KafkaMessage(raw_message=records, body=b"", headers={}, consumer=None)  # type: ignore[arg-type]


async def _raw(message: KafkaMessage) -> Any:
    return message.raw_message


class Careful(AIOKafkaConsumer):  # type: ignore[misc]
    """Loses nothing when a partition can't be read: its error would also drop the records of other partitions.

    A partition whose next record is not one of Kafka's (as of a codec that is not installed) is paused, until the
    process ends or its topic is mended and the partition comes anew; the others go on.
    """

    _given: dict[TopicPartition, int]

    def __init__(self, *topics: str, gathers_ms: Mapping[str, int | None], **more: Any) -> None:
        """`gathers_ms`: by consumer, see `Handlers`."""
        super().__init__(*topics, **more)
        self._gathers_ms = gathers_ms.get(more["group_id"])

    async def start(self) -> None:
        await super().start()
        if self._gathers_ms:
            patience.gather(self, self._gathers_ms / 1000)

    async def getmany(self, *_: Any, timeout_ms: int = 0, max_records: int | None = None) -> Any:
        try:
            found = await super().getmany(timeout_ms=max(timeout_ms, patience.POLL_MS), max_records=max_records)
        except Exception as error:
            await self._go_back()
            if isinstance(error, (KafkaError, ConsumerStoppedError)):
                raise
            await self._pause_unreadable()
            return {}
        patience.rest(self, bool(found))
        self._given = getattr(self, "_given", {}) | {place: some[-1].offset + 1 for place, some in found.items()}
        return found

    async def _go_back(self) -> None:
        for place in self.assignment():
            offset = getattr(self, "_given", {}).get(place) or await self.committed(place)
            if offset:
                self.seek(place, offset)
            else:
                await self.seek_to_beginning(place)

    async def _pause_unreadable(self) -> None:
        for place in self.assignment():
            try:
                await super().getmany(place, timeout_ms=500)
            except Exception as error:
                unreadable.labels(place.topic, str(place.partition)).set(1)
                self.pause(place)
                log.error("a partition can't be read, it is paused", partition=str(place), error=repr(error))
        await self._go_back()


class Subscription:
    """A consumer on its topics. A lost offset is harmless, so offsets are committed once a second.

    `_read` holds those of records that are taken or still to be counted as seen; `_done` those that may be committed.
    """

    def __init__(self, broker: KafkaBroker, consumer: Consumer, batch_size: int) -> None:
        self._consumer = consumer
        self._read: dict[TopicPartition, int] = {}
        self._done: dict[TopicPartition, int] = {}
        self._busy, self._stopping = asyncio.Lock(), False
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
        async with self._busy:
            if self._stopping:  # what was read and not taken is read again by whoever comes next
                return
            try:
                await self._until_taken(batch)
            except BaseException:  # cut off in the middle: nothing after this batch may be taken, or committed
                self._stopping = True
                raise
            for record in batch:
                self._read[TopicPartition(record.topic, record.partition)] = record.offset + 1
            if not self._consumer.unheard:
                self._all_read_is_done()

    async def _until_taken(self, batch: Sequence[ConsumerRecord]) -> None:
        """FastStream swallows the error of a batch and reads on, so this returns only once all of it is handled."""
        while True:
            try:
                return await self._consumer.take(batch)
            except Exception as error:
                with contextlib.suppress(Exception):
                    log.error("a batch was not taken, it is tried again", error=repr(error))
                await asyncio.sleep(AGAIN_SECONDS)

    async def finish(self) -> None:
        """Take no further batch, let the one under way end, and commit."""
        self._stopping = True
        async with self._busy:
            await self._count()
            await self.commit_offsets()

    async def _count(self) -> None:
        try:
            await self._consumer.count_unheard()
        except Exception as error:
            with contextlib.suppress(Exception):
                log.error("what is not heard was not counted as seen, it is tried again", error=repr(error))
        else:
            self._all_read_is_done()

    def _all_read_is_done(self) -> None:
        self._done, self._read = self._done | self._read, {}

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
            self._done = offsets | self._done
            log.info("offsets not committed yet, seen sequences stand in", error=repr(error))

    async def run(self) -> None:
        """Commit again and again. Ends if nothing is read any more, so that the caller starts it again."""
        while not self._stopping and not all(task.done() for task in self._subscriber.tasks):
            await asyncio.sleep(COMMIT_SECONDS / 2)
            async with self._busy:
                await self._count()
            await asyncio.sleep(COMMIT_SECONDS / 2)
            await self.commit_offsets()


def make_broker(kafka: Mapping[str, Any], name: str) -> KafkaBroker:
    return KafkaBroker(
        kafka["bootstrap_servers"], client_id=name, apply_types=False, graceful_timeout=0.1, logger=None,
        consumer_only=True,
    )  # fmt: skip


async def within(seconds: float, *work: Coroutine[Any, Any, Any]) -> None:
    """Wait for work that may hang while the broker is away. Cancels what is not done in time."""
    tasks = [asyncio.ensure_future(one) for one in work]
    if not tasks:
        return
    done, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    for task in done:
        if not task.cancelled() and (error := task.exception()):
            log.warning("not stopped cleanly", error=repr(error))
    if late:
        log.warning("not stopped in time", seconds=seconds, some=[str(task.get_coro()) for task in late])


@contextlib.asynccontextmanager
async def subscribed(
    kafka: Mapping[str, Any], name: str, consumers: Sequence[Consumer], batch_size: int
) -> AsyncIterator[Sequence[asyncio.Task[None]]]:
    """Consume while the block runs; on leaving, finish the batch and commit its offsets, in at most five seconds.

    Yields a task for each consumer; it ends only when that consumer reads no more.
    """
    broker = make_broker(kafka, name)
    subscriptions = [Subscription(broker, consumer, batch_size) for consumer in consumers]
    tasks: list[asyncio.Task[None]] = []
    try:
        await broker.connect()
        made = broker.config.broker_config
        gathers = {consumer.name: consumer.handlers.gathers_ms for consumer in consumers}
        known = made.builder.keywords | dict(kafka)  # type: ignore[attr-defined]
        made.builder = partial(Careful, gathers_ms=gathers, **known)
        await broker.start()
        tasks += [asyncio.create_task(subscription.run()) for subscription in subscriptions]
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await within(3.5, *(subscription.finish() for subscription in subscriptions))
        await within(1.5, broker.stop())


@contextlib.asynccontextmanager
async def joining(
    kafka: Mapping[str, Any], name: str, consumers: Sequence[Consumer], batch_size: int, joined: Callable[[bool], None]
) -> AsyncIterator[None]:
    """As `subscribed`, but the block runs at once, so that a process answers requests before it has joined its group.

    `joined` is called with True once this process consumes, and with False once it no longer does.
    """
    inside, leaving = asyncio.Event(), asyncio.Event()
    left = asyncio.create_task(leaving.wait())

    async def consume() -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                async with subscribed(kafka, name, consumers, batch_size) as reading:
                    inside.set()
                    joined(True)
                    await asyncio.wait([left, *reading], return_when=asyncio.FIRST_COMPLETED)
                    if leaving.is_set():
                        return
                raise RuntimeError("a consumer reads no more")
            except Exception as error:
                joined(False)
                with contextlib.suppress(Exception):  # to log must not end the consuming
                    log.warning("not consuming, trying again", error=repr(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    consuming = asyncio.create_task(consume())
    consuming.add_done_callback(lambda _: joined(False))
    try:
        yield
    finally:
        leaving.set()
        joined(False)
        if not inside.is_set():  # there is no batch to finish
            consuming.cancel()
        await asyncio.wait([consuming, left], timeout=5)
        consuming.cancel()
