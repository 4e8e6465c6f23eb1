"""The relay: publishes what transactions left in the outbox, in order. Every work process runs it, one leads."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson
import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTopicError, MessageSizeTooLargeError, RecordListTooLargeError
from prometheus_client import Counter, Gauge

from chassis.db.locks import RELAY_LEADS
from chassis.messaging.wake import Bell
from contracts.envelope import event_headers

log = structlog.get_logger()
published = Counter("paidup_outbox_published_total", "Events published")
leading = Gauge("paidup_outbox_leading", "1 where this process publishes")
refused = Gauge("paidup_outbox_refused", "Aggregates whose next event the broker does not take")

BATCH = 500
IDLE_SECONDS = 5.0  # who commits rings the bell: this is for a bell that nobody heard
OF_THE_MESSAGE = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError, ValueError, TypeError)


class Relay:
    """`source` goes into `ce_source`, as `paidup/payments`. `kafka`: the arguments of a client."""

    def __init__(self, dsn: str, kafka: Mapping[str, Any], source: str, bell: Bell) -> None:
        self._dsn, self._kafka, self._source, self._bell = dsn, kafka, source, bell
        self._stopping = False
        self._one_by_one = 0  # so many rows, since one among them is refused
        self._held: set[str] = set()  # aggregates that wait behind a refused row, until this process ends

    async def run(self) -> None:
        """Lead or stand by until stopped; any fault starts again from the first unpublished row."""
        while not self._stopping:
            try:
                await self._stand_and_lead()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                with contextlib.suppress(Exception):  # to log must not end the relay
                    log.warning("relay starts again", error=repr(error))
                await asyncio.sleep(0.2)
            finally:
                self._bell.leading = False
                leading.set(0)

    def stop(self) -> None:
        """Publish what is there, then end."""
        self._stopping = True
        self._bell.heard.set()

    async def _stand_and_lead(self) -> None:
        connection = await asyncpg.connect(
            self._dsn, server_settings={"enable_seqscan": "off", "application_name": "relay"}
        )
        try:
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", RELAY_LEADS):
                if self._stopping:
                    return
                await asyncio.sleep(0.5)
            producer = make_producer(self._kafka)
            try:
                await producer.start()
                self._bell.leading = True
                leading.set(1)
                log.info("relay leads")
                await self._lead(connection, producer)
            finally:
                await producer.stop()
        finally:
            await connection.close(timeout=2)

    async def _lead(self, connection: asyncpg.Connection, producer: AIOKafkaProducer) -> None:
        unpublished = await connection.prepare(UNPUBLISHED)
        while True:
            self._bell.heard.clear()
            rows = await unpublished.fetch(1 if self._one_by_one else BATCH, list(self._held))
            if rows:
                await self._publish(connection, producer, rows)
                continue
            if self._stopping:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):  # `wait_for` may swallow a cancellation
                    await self._bell.heard.wait()

    async def _publish(self, connection: asyncpg.Connection, producer: AIOKafkaProducer, rows: list[Any]) -> None:
        try:
            sent = [
                await producer.send(row["topic"], row["payload"], row["aggregate"].encode(), headers=self._headers(row))
                for row in rows
            ]
            await asyncio.gather(*sent)
        except OF_THE_MESSAGE as error:
            await self._refused(connection, rows, error)
            raise  # a producer that was refused something has lost count: begin with a new one
        await connection.execute(PUBLISHED, [row["id"] for row in rows])
        published.inc(len(rows))
        self._one_by_one = max(0, self._one_by_one - 1)

    async def _refused(self, connection: asyncpg.Connection, rows: list[Any], error: Exception) -> None:
        """Find the row that is at fault by sending one by one; set it aside, so that only its aggregate waits."""
        if len(rows) > 1:
            self._one_by_one = len(rows)
            return
        (row,) = rows
        self._held.add(row["aggregate"])
        refused.set(len(self._held))
        log.error(
            "event set aside, Kafka does not take it", topic=row["topic"], aggregate=row["aggregate"], type=row["type"],
            sequence=row["sequence"], error=repr(error),
        )  # fmt: skip
        await connection.execute(REFUSED, row["id"], f"{type(error).__name__}: {error}"[:1000])

    def _headers(self, row: Any) -> list[tuple[str, bytes]]:
        more: dict[str, str] = orjson.loads(row["headers"])
        return event_headers(
            str(row["event_id"]), row["type"], self._source, row["aggregate"], row["sequence"], row["created_at"], more
        )


def make_producer(kafka: Mapping[str, Any]) -> AIOKafkaProducer:
    """Durable and in order: all replicas acknowledge, and a resend is not written twice."""
    return AIOKafkaProducer(
        **kafka, acks="all", enable_idempotence=True, max_batch_size=262_144,
        max_request_size=1_048_576, request_timeout_ms=20_000, retry_backoff_ms=50, metadata_max_age_ms=60_000,
    )  # fmt: skip


UNPUBLISHED = """
SELECT id, event_id, topic, aggregate, sequence, type, headers, payload, created_at
FROM outbox WHERE aggregate <> ALL ($2::text[]) ORDER BY id LIMIT $1
"""
REFUSED = "UPDATE outbox SET error = $2 WHERE id = $1"
PUBLISHED = "DELETE FROM outbox WHERE id = ANY($1::bigint[])"
