"""Consuming, dead letters and the outbox, on a real database and a real broker."""

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import httpx2
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import RequestTimedOutError
from fastapi import APIRouter, Request

from chassis import checks, telemetry
from chassis.clock import Clock
from chassis.db.pool import open_pool, out_of_reach
from chassis.http.identity import Identity
from chassis.jobs import Job, repeat
from chassis.messaging import dead_letters, reading, replay
from chassis.messaging.consume import Consumer
from chassis.messaging.handlers import Handlers
from chassis.messaging.outbox import Relay, make_producer
from chassis.messaging.records import SOURCES, RacedError, Received
from chassis.messaging.replay import retry_due
from chassis.messaging.subscribe import Subscription, make_broker, subscribed
from chassis.messaging.wake import Bell
from chassis.messaging.work import Cause, Units, Wake, Work
from chassis.running import Running, cause_of
from chassis.service import Service
from chassis.settings import ServiceSettings
from contracts.auth import KeyCreated, KeyRevoked
from contracts.envelope import Envelope, Message, message, type_registry
from contracts.ids import new_id
from contracts.invoicing import CreateCustomer
from contracts.topics import Topic
from tests.faults import poison
from tests.kit import kafka
from tests.kit.poison import NotUtf8, poison_producer
from tests.kit.postgres import Database, admin_dsn, drop_database, fresh_database

INBOUND = "invoicing.inbound.v1"
SOURCE = "paidup/auth"
NO_MIGRATIONS = Path(__file__).parent / "no_migrations"


@dataclass
class Raw:
    """A record as Kafka hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass
class Desk:
    """A consumer whose handler writes down what it took, and fails where the test asks for it."""

    pool: asyncpg.Pool
    database: Database
    offset: int = 0
    failing: set[str] = field(default_factory=set)

    def consumer(self, name: str = "desk") -> Consumer:
        handlers = Handlers(name)

        @handlers.on(KeyCreated)
        async def write_down(event: KeyCreated, work: Work) -> None:
            if event.key_id in self.failing:
                raise RuntimeError("asked to fail")
            await work.connection.execute("INSERT INTO taken (key_id) VALUES ($1)", event.key_id)

        @handlers.on_many(KeyRevoked)
        async def write_down_many(events: Sequence[Received[KeyRevoked]], work: Work) -> None:
            rows = [(received.event.key_id,) for received in events]
            await work.connection.executemany("INSERT INTO taken (key_id, revoked) VALUES ($1, true)", rows)

        return Consumer(handlers, Units(self.pool, Clock("UTC"), Wake()))

    def record(self, key: str, sequence: int, event: type[KeyCreated] | type[KeyRevoked] = KeyCreated) -> Raw:
        self.offset += 1
        sent = message(event(key_id=key), sequence=sequence, time=datetime.now(UTC))
        return Raw("auth.key.v1", 0, self.offset, key.encode(), sent.body, sent.headers(SOURCE))

    async def taken(self) -> list[str]:
        return [row["key_id"] for row in await self.pool.fetch("SELECT key_id FROM taken ORDER BY n")]

    async def letters(self, state: str = "waiting") -> int:
        count: int = await self.pool.fetchval("SELECT count(*) FROM dead_letters WHERE state = $1", state)
        return count

    async def hurry(self) -> None:
        """Real seconds of waiting are taken away from every retry."""
        await self.pool.execute("UPDATE parked SET retry_at = now() WHERE retry_at IS NOT NULL")


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    database = await fresh_database("auth", NO_MIGRATIONS)
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("CREATE TABLE taken (n bigint GENERATED ALWAYS AS IDENTITY, key_id text, revoked bool)")
    await owner.close()
    pool = await open_pool(database.work_url, size=6, application="test")
    yield Desk(pool, database)
    await pool.close()
    await drop_database(database)


async def cut(database: Database, application: str, which: str = "") -> None:
    """End connections of a database as the superuser can."""
    admin = await asyncpg.connect(admin_dsn())
    await admin.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2 {which}",
        database.name,
        application,
    )
    await admin.close()


class TestParkedKeys:
    async def test_bad_record_does_not_stop_its_batch(self, desk: Desk) -> None:
        consumer = desk.consumer()
        desk.failing.add("bug")
        no_utf8, no_body, no_json, wrong = (desk.record(key, 1) for key in ("u", "n", "j", "w"))
        no_utf8.headers = [*no_utf8.headers, ("x", b"\xff")]
        no_body.value, no_json.value, wrong.value = None, b"{", b'{"key_id": 7}'
        await consumer.take(
            [desk.record("a", 1), no_utf8, no_body, no_json, wrong, desk.record("bug", 1), desk.record("b", 1)]
        )
        assert await desk.taken() == ["a", "b"]
        assert (await desk.letters("unreadable"), await desk.letters()) == (2, 3)

    async def test_later_events_are_replayed_in_order(self, desk: Desk) -> None:
        consumer = desk.consumer()
        desk.failing.add("a")
        await consumer.take([desk.record("a", 1), desk.record("b", 1)])
        await consumer.take([desk.record("a", 2, KeyRevoked), desk.record("b", 2)])
        assert await desk.taken() == ["b", "b"]
        desk.failing.clear()
        await desk.hurry()
        assert await retry_due(consumer)
        rows = await desk.pool.fetch("SELECT revoked FROM taken WHERE key_id = 'a' ORDER BY n")
        assert [row["revoked"] for row in rows] == [None, True]
        await consumer.take([desk.record("a", 3)])
        assert (await desk.taken()).count("a") == 3
        assert await desk.letters() == 0

    async def test_skip_lets_later_events_go_on(self, desk: Desk) -> None:
        consumer = desk.consumer()
        desk.failing.add("a")
        await consumer.take([desk.record("a", 1), desk.record("a", 2, KeyRevoked)])
        for _ in range(3):
            await desk.hurry()
            assert await retry_due(consumer)
        assert await desk.pool.fetchval("SELECT retry_at IS NULL AND attempts = 3 FROM parked")
        async with desk.pool.acquire() as connection:
            first = (await dead_letters.listing(connection))[0]
            assert "asked to fail" in first["error"]
            await dead_letters.skip(connection, first["id"], "a test of ours")
        assert await retry_due(consumer)
        assert await desk.taken() == ["a"]
        assert (await desk.letters("skipped"), await desk.letters("replayed"), await desk.letters()) == (1, 1, 0)

    async def test_only_the_first_letter_can_be_skipped(self, desk: Desk) -> None:
        consumer = desk.consumer()
        desk.failing.add("a")
        await consumer.take([desk.record("a", 1), desk.record("a", 2, KeyRevoked), desk.record("a", 3, KeyRevoked)])
        async with desk.pool.acquire() as connection:
            first, _, third = [letter["id"] for letter in await dead_letters.listing(connection)]
            with pytest.raises(dead_letters.RefusedError, match=f"Letter {first} waits before letter {third}"):
                await dead_letters.skip(connection, third, "in a hurry")
            for call in (dead_letters.skip(connection, 999, "x"), dead_letters.replay(connection, 999)):
                with pytest.raises(dead_letters.RefusedError, match="no letter 999"):
                    await call
            desk.failing.clear()
            await desk.hurry()
            assert await retry_due(consumer)
            with pytest.raises(dead_letters.RefusedError, match="it was replayed"):
                await dead_letters.skip(connection, first, "too late")
        assert await desk.taken() == ["a", "a", "a"]

    async def test_unreadable_letter_can_only_be_skipped(self, desk: Desk) -> None:
        foreign = desk.record("a", 1)
        foreign.headers = [*foreign.headers, ("ce_source", b"paidup/elsewhere")]
        await desk.consumer().take([foreign])
        assert await desk.taken() == []
        async with desk.pool.acquire() as connection:
            (letter,) = await dead_letters.listing(connection)
            assert letter["error"] == "ce_source is not paidup/auth, which alone writes events here"
            with pytest.raises(dead_letters.RefusedError, match="can only be skipped"):
                await dead_letters.replay(connection, letter["id"])
            await dead_letters.skip(connection, letter["id"], "forged")
        assert await desk.letters("skipped") == 1


def command(number: int, key: bytes | None = None, source: bytes | None = None, offset: int = 0) -> Raw:
    headers = [("ce_id", b"c%d" % number), ("ce_type", b"CreateCustomer")]
    body = CreateCustomer(external_id=f"x{number}", name="n").model_dump_json().encode()
    return Raw(INBOUND, 0, offset or number, key, body, [*headers, *([("ce_source", source)] if source else [])])


def commanded(desk: Desk) -> Consumer:
    handlers = Handlers("desk")

    @handlers.on_many(CreateCustomer, raw=True)
    async def write_down(events: Sequence[Received[CreateCustomer]], work: Work) -> None:
        for received in events:
            if received.id in desk.failing:
                raise RuntimeError("asked to fail")
            await work.connection.execute("INSERT INTO taken (key_id) VALUES ($1)", received.id)

    return Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))


class TestOnce:
    async def test_event_delivered_twice_acts_once(self, desk: Desk) -> None:
        consumer, one, two = desk.consumer(), desk.record("a", 1), desk.record("a", 2, KeyRevoked)
        await consumer.take([one, two, one])
        await consumer.take([one, two, two])
        assert await desk.taken() == ["a", "a"]

    async def test_two_replicas_act_once(self, desk: Desk) -> None:
        first, second = desk.consumer(), desk.consumer()
        records = [desk.record(f"k{n % 40}", n // 40 + 1) for n in range(200)]

        async def take_all(consumer: Consumer) -> None:
            for at in range(0, 200, 50):
                await consumer.take(records[at : at + 50])

        await asyncio.gather(take_all(first), take_all(second))
        assert sorted(await desk.taken()) == sorted(f"k{n % 40}" for n in range(200))

    async def test_unknown_type_counts_its_sequence(self, desk: Desk) -> None:
        consumer, unknown = desk.consumer(), desk.record("a", 1)
        unknown.headers = [(name, b"AddedLater" if name == "ce_type" else value) for name, value in unknown.headers]
        await consumer.take([unknown, desk.record("a", 2)])
        assert await desk.taken() == ["a"]

    async def test_event_waits_for_its_predecessor(self, desk: Desk) -> None:
        consumer = desk.consumer()
        first, second = desk.record("a", 1), desk.record("a", 2, KeyRevoked)
        await consumer.take([second])
        assert await desk.taken() == []
        await consumer.take([first])
        await desk.hurry()
        assert await retry_due(consumer)
        assert await desk.taken() == ["a", "a"]

    async def test_outward_handler_ignores_older_events(self, desk: Desk) -> None:
        handlers, done = Handlers("actor"), []

        @handlers.on(KeyCreated, acts=True)
        async def act(event: KeyCreated, work: Work) -> None:
            done.append(event.key_id)

        consumer = Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))
        old, began = desk.record("old", 1), datetime.now(UTC)
        old.headers = [
            (n, (began - timedelta(hours=1)).isoformat().encode() if n == "ce_time" else v) for n, v in old.headers
        ]
        consumer.acts_from = began
        await consumer.take([old, desk.record("new", 1)])
        assert done == ["new"]


class TestTraces:
    async def test_record_continues_its_emitters_trace(self, desk: Desk) -> None:
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        spans, trace = InMemorySpanExporter(), "4bf92f3577b34da6a3ce929d0e0e4736"
        handlers = Handlers("tracer")

        @handlers.on(KeyCreated)
        async def answer(event: KeyCreated, work: Work) -> None:
            work.emit(message(KeyRevoked(key_id=event.key_id), sequence=2, time=work.now))

        record = desk.record("a", 1)
        record.headers = [*record.headers, ("traceparent", f"00-{trace}-00f067aa0ba902b7-01".encode())]
        telemetry.setup("test", None, processor=SimpleSpanProcessor(spans))
        try:
            await Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake())).take([record])
        finally:
            telemetry.setup("test", None)
        (span,) = spans.get_finished_spans()
        assert (span.name, f"{span.context.trace_id:032x}") == ("process auth.key.v1", trace)
        assert trace in await desk.pool.fetchval("SELECT headers FROM outbox")

    async def test_gathered_requests_keep_their_traces(self, desk: Desk) -> None:
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        units, traces = Units(desk.pool, Clock("UTC"), Wake()), {"a" * 32, "b" * 32}

        async def say(causes: Sequence[Cause], work: Work) -> Sequence[None]:
            for work.cause in causes:
                work.emit(message(KeyCreated(key_id=new_id()), sequence=1, time=work.now))
            return [None] * len(causes)

        async def ask(trace: str) -> None:
            with telemetry.record_span("request", [("traceparent", f"00-{trace}-00f067aa0ba902b7-01".encode())]):
                asked = Request({"type": "http", "headers": []})
                await units.together(say, cause_of(asked, Identity("key", "system", frozenset())))

        telemetry.setup("test", None, processor=SimpleSpanProcessor(InMemorySpanExporter()))
        try:
            await asyncio.gather(*(ask(trace) for trace in traces))
        finally:
            telemetry.setup("test", None)
        rows = await desk.pool.fetch("SELECT headers::json->>'traceparent' AS parent FROM outbox")
        assert {row["parent"].split("-")[1] for row in rows} == traces


async def _roll_back(units: Units, key: str) -> None:
    async with units.begin() as work:
        work.emit(message(KeyCreated(key_id=key), sequence=1, time=work.now))
        raise RuntimeError("changed my mind")


async def _read(bootstrap: str, keys: set[str]) -> list[tuple[str, int]]:
    reader = AIOKafkaConsumer("auth.key.v1", bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await reader.start()
    try:
        ends = await reader.end_offsets(reader.assignment())
        found = []
        while any([await reader.position(place) < end for place, end in ends.items()]):
            for records in (await reader.getmany(timeout_ms=200)).values():
                found += [(r.key.decode(), int(dict(r.headers)["sequence"])) for r in records if r.key.decode() in keys]
        return found
    finally:
        await reader.stop()


class TestOutbox:
    async def test_only_committed_events_are_published_in_order(self, desk: Desk) -> None:
        bootstrap = await kafka.create_contract_topics()
        bell = Bell(desk.pool)
        units = Units(desk.pool, Clock("UTC"), bell)
        relay = Relay(desk.database.work_url, kafka.client(bootstrap), "paidup/test", bell)
        running, key, lost = asyncio.create_task(relay.run()), new_id(), new_id()
        for sequence in range(1, 31):
            async with units.begin() as work:
                work.emit(message(KeyCreated(key_id=key), sequence=sequence, time=work.now))
        with pytest.raises(RuntimeError, match="changed my mind"):
            await _roll_back(units, lost)
        relay.stop()
        await asyncio.wait_for(running, 20)
        found = await _read(bootstrap, {key, lost})
        assert found == [(key, sequence) for sequence in range(1, 31)]
        assert await desk.pool.fetchval("SELECT count(*) FROM outbox") == 0

    async def test_refused_message_blocks_its_aggregate_alone(self, desk: Desk) -> None:
        small = kafka.unique("small")
        bootstrap = await kafka.create_topics(small, partitions=1, config={"max.message.bytes": "2000"})
        bell = Bell(desk.pool)
        units = Units(desk.pool, Clock("UTC"), bell)
        bad, good = new_id(), [new_id() for _ in range(3)]

        def sized(aggregate: str, sequence: int, size: int) -> Message:
            body = os.urandom(size)
            return Message(new_id(), "Sized", small, aggregate, sequence, datetime.now(UTC), body)

        async with units.begin() as work:
            work.emit(sized(good[0], 1, 10), sized(bad, 1, 5_000), sized(bad, 2, 10), sized(good[1], 1, 10))
        relay = Relay(desk.database.work_url, kafka.client(bootstrap), SOURCE, bell)
        running = asyncio.create_task(relay.run())
        unpublished = "SELECT aggregate, sequence, error IS NOT NULL FROM outbox ORDER BY id"
        async with asyncio.timeout(20):
            while len(await desk.pool.fetch(unpublished)) > 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        async with units.begin() as work:
            work.emit(sized(good[2], 1, 10))
        relay.stop()
        await asyncio.wait_for(running, 20)
        assert [tuple(row) for row in await desk.pool.fetch(unpublished)] == [(bad, 1, True), (bad, 2, False)]
        found = await checks._listed(desk.pool, checks.EVERYWHERE["an event is not published"])
        assert any("MessageSizeTooLarge" in what for _, what in found)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, small, {"max.message.bytes": "9000"})])
        await admin.close()
        again = Relay(desk.database.work_url, kafka.client(bootstrap), SOURCE, bell)
        running = asyncio.create_task(again.run())
        async with asyncio.timeout(20):
            while await desk.pool.fetch(unpublished):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        again.stop()
        await asyncio.wait_for(running, 20)

    async def test_wrong_headers_are_refused(self, desk: Desk) -> None:
        units = Units(desk.pool, Clock("UTC"), Wake())
        with pytest.raises(asyncpg.CheckViolationError):
            async with units.begin(Cause(correlation="x" * 9_000)) as work:
                work.emit(message(KeyCreated(key_id=new_id()), sequence=1, time=work.now))
        longest = "\U0001f4a9" * 255
        async with units.begin(Cause(longest, longest, longest, longest)) as work:
            work.emit(message(KeyCreated(key_id=new_id()), sequence=1, time=work.now, customer=longest))

    async def test_standby_takes_over_a_dead_leader(self, desk: Desk) -> None:
        bootstrap = await kafka.create_contract_topics()
        bells = [Bell(desk.pool), Bell(desk.pool)]
        relays = [Relay(desk.database.work_url, kafka.client(bootstrap), "paidup/test", bell) for bell in bells]
        tasks = [asyncio.create_task(relay.run()) for relay in relays]
        try:
            await _until(lambda: any(bell.leading for bell in bells))
            leader = next(bell for bell in bells if bell.leading)
            await cut(
                desk.database, "relay", "AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)"
            )
            async with Units(desk.pool, Clock("UTC"), leader).begin() as work:
                work.emit(message(KeyCreated(key_id=new_id()), sequence=1, time=work.now))
            await asyncio.sleep(0)
            await _until(lambda: any(bell.leading for bell in bells))
            for _ in range(100):
                if not await desk.pool.fetchval("SELECT count(*) FROM outbox"):
                    break
                await asyncio.sleep(0.05)
            assert await desk.pool.fetchval("SELECT count(*) FROM outbox") == 0
        finally:
            for relay in relays:
                relay.stop()
            await asyncio.gather(*tasks)


async def _until(holds: Callable[[], bool], seconds: float = 5) -> None:
    end = asyncio.get_running_loop().time() + seconds
    for _ in iter(holds, True):
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def taking(consumer: Consumer, bootstrap: str) -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """The consumer on a real broker; what it gives sends one record of a key, its headers changed at will."""
    producer = make_producer(kafka.client(bootstrap))
    await producer.start()

    async def send(key: str, sequence: int = 1, **changed: bytes) -> None:
        sent = message(KeyCreated(key_id=key), sequence=sequence, time=datetime.now(UTC))
        headers = [*sent.headers(SOURCE), *changed.items()]
        await producer.send_and_wait("auth.key.v1", sent.body, key.encode(), partition=3, headers=headers)

    try:
        async with subscribed(kafka.client(bootstrap), consumer.name, [consumer], 500):
            yield send
    finally:
        await producer.stop()


async def _all_taken(desk: Desk, keys: Sequence[str], seconds: float = 20) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not set(await desk.taken()) >= set(keys):
        assert asyncio.get_running_loop().time() < end, set(keys) - set(await desk.taken())
        await asyncio.sleep(0.1)


class TestCommands:
    async def test_failed_one_without_a_key_waits_alone(self, desk: Desk) -> None:
        consumer = commanded(desk)
        desk.failing |= {"c1", "c2"}
        await consumer.take([command(1), command(2), command(3)])
        assert await desk.taken() == ["c3"]
        desk.failing = {"c1"}
        for _ in range(2):
            await desk.hurry()
            await retry_due(consumer)
        assert await desk.taken() == ["c3", "c2"]

    async def test_skipped_one_is_not_run_again(self, desk: Desk) -> None:
        consumer = commanded(desk)
        desk.failing = {"c1"}
        await consumer.take([command(1)])
        async with desk.pool.acquire() as connection:
            await dead_letters.skip(connection, (await dead_letters.listing(connection))[0]["id"], "of no use")
        desk.failing.clear()
        await consumer.take([command(1), command(1, offset=9)])
        assert await desk.taken() == []

    async def test_same_by_source_and_id(self, desk: Desk) -> None:
        consumer = commanded(desk)
        await consumer.take([command(1, source=b"erp"), command(1, source=b"crm", offset=2), command(1, offset=3)])
        await consumer.take([command(1, source=b"erp", offset=4), command(1, offset=5)])
        assert await desk.taken() == ["c1", "c1", "c1"]

    @pytest.mark.parametrize(
        "kind", [k for k in poison.command_kinds("c") if k.more or k.key], ids=lambda k: str(k[3:])[:40]
    )
    async def test_poison_headers_or_key_are_set_aside(self, desk: Desk, kind: poison.Kind) -> None:
        good = [Raw(INBOUND, 0, 1, b"k", b"{}", [("ce_id", b"1"), ("ce_type", b"Any")])]
        headers = [("ce_id", b"2"), ("ce_type", b"Any"), *kind.more]
        bad = Raw(INBOUND, 0, 2, b"k" if kind.key is None else kind.key, b"{}", headers)
        await asyncio.wait_for(desk.consumer().take([*good, bad]), 5)
        assert await desk.letters("unreadable") == 1
        assert await desk.pool.fetchval("SELECT array_agg(id) FROM seen_commands") == ["1"]


class TestOutage:
    async def test_database_lost_in_a_batch_is_awaited(self, desk: Desk) -> None:
        consumer = desk.consumer()
        records = [desk.record(f"k{n}", 1) for n in range(300)]
        taking = asyncio.create_task(consumer.take(records))
        for _ in range(5):
            await cut(desk.database, "test")
            await asyncio.sleep(0.02)
        await asyncio.wait_for(taking, 20)
        assert len(await desk.taken()) == 300

    async def test_read_only_server_loses_nothing(self, desk: Desk) -> None:
        bootstrap, keys = await kafka.create_contract_topics(), [new_id() for _ in range(6)]
        admin = await asyncpg.connect(admin_dsn())
        async with taking(desk.consumer(f"desk-{new_id()}"), bootstrap) as send:
            await send(keys[0])
            await _all_taken(desk, keys[:1])
            await admin.execute(f"ALTER DATABASE {desk.database.name} SET default_transaction_read_only = on")
            await cut(desk.database, "test")
            for key in keys[1:]:
                await send(key)
                await asyncio.sleep(0.4)
            await admin.execute(f"ALTER DATABASE {desk.database.name} RESET default_transaction_read_only")
            await admin.close()
            await _all_taken(desk, keys)
        assert await desk.letters() == 0

    @pytest.mark.parametrize(
        "error",
        [
            asyncpg.DiskFullError, asyncpg.OutOfMemoryError, asyncpg.ReadOnlySQLTransactionError,
            asyncpg.InvalidPasswordError,
            asyncpg.InvalidCatalogNameError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError,
            asyncpg.TooManyConnectionsError, asyncpg.AdminShutdownError, asyncpg.PostgresIOError,
            ConnectionRefusedError,
        ],
    )  # fmt: skip
    def test_missing_or_full_server_is_awaited(self, error: type[Exception]) -> None:
        assert out_of_reach(error("asked to"))
        assert not out_of_reach(asyncpg.UniqueViolationError("asked to"))


async def _between(reader: AIOKafkaConsumer, offset: int) -> AsyncIterator[str]:
    place = TopicPartition("auth.key.v1", 3)
    reader.assign([place])
    reader.seek(place, offset)
    yield (await reader.getone()).key.decode()


class TestStop:
    async def test_batch_is_finished_and_committed(self, desk: Desk) -> None:
        bootstrap, name, key = await kafka.create_contract_topics(), f"desk-{new_id()}", new_id()
        handlers, begun = Handlers(name), asyncio.Event()

        @handlers.on(KeyCreated)
        async def slowly(event: KeyCreated, work: Work) -> None:
            if event.key_id == key:
                begun.set()
                await asyncio.sleep(1)
                await work.connection.execute("INSERT INTO taken (key_id) VALUES ($1)", key)

        async with taking(Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake())), bootstrap) as send:
            await send(key)
            await asyncio.wait_for(begun.wait(), 20)
        assert await desk.taken() == [key]
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        committed = (await admin.list_consumer_group_offsets(name))[TopicPartition("auth.key.v1", 3)].offset
        await admin.close()
        reader = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        await reader.start()
        mine = [record async for record in _between(reader, committed - 1)]
        await reader.stop()
        assert mine == [key]

    async def test_lasts_ten_seconds_without_kafka(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        hanging: set[Any] = set()
        stuck: set[asyncio.Task[Any]] = set()

        def remembered(*words: Any) -> Any:
            hanging.add(broker := make_broker(*words))
            return broker

        async def hang(it: Any, *_: object) -> None:
            hanging.add(it)
            await asyncio.sleep(40)

        async def stubborn(_: Running) -> bool:
            if task := asyncio.current_task():
                stuck.add(task)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(40)
            await asyncio.sleep(40)
            return False

        urls = {
            "owner_url": desk.database.owner_url,
            "api_url": desk.database.api_url,
            "work_url": desk.database.work_url,
        }
        settings = ServiceSettings(kafka=await kafka.create_contract_topics(), **urls)
        handlers = Handlers(f"desk-{new_id()}")

        @handlers.on(KeyCreated)
        async def ignore(event: KeyCreated, work: Work) -> None: ...

        service = Service("auth", ServiceSettings, handlers=[handlers], jobs=[Job("stubborn", 1, stubborn)])
        app = service.app(settings)
        monkeypatch.setattr("chassis.messaging.subscribe.make_broker", remembered)
        async with app.router.lifespan_context(app):
            await asyncio.sleep(2)
            monkeypatch.setattr(AIOKafkaConsumer, "commit", hang)
            monkeypatch.setattr(AIOKafkaConsumer, "stop", hang)
            monkeypatch.setattr(AIOKafkaProducer, "stop", hang)
            begun = asyncio.get_running_loop().time()
        took = asyncio.get_running_loop().time() - begun
        monkeypatch.undo()
        for one in hanging:
            await one.stop()
        for task in stuck:  # left to itself it would outlive the session, which ends its tasks by one cancellation each
            task.cancel()
        assert not (await asyncio.wait(stuck, timeout=1))[1]
        assert took < 8  # and two for requests under way


async def test_request_wakes_a_job_at_once(desk: Desk) -> None:
    ran = asyncio.Queue[None]()

    async def count(_: Running) -> bool:
        ran.put_nowait(None)
        return False

    urls = {"owner_url": desk.database.owner_url, "api_url": desk.database.api_url, "work_url": desk.database.work_url}
    settings = ServiceSettings(kafka=await kafka.create_contract_topics(), **urls)
    app = Service("auth", ServiceSettings, jobs=[Job("count", 60, count)]).app(settings)
    async with app.router.lifespan_context(app), asyncio.timeout(10):
        await ran.get()
        async with app.state.running.units.begin() as work:
            work.wake("count")
        await ran.get()


class ForgetfulBroker:
    """The offsets' side of a broker that refuses the first commit."""

    def __init__(self, place: TopicPartition) -> None:
        self.place, self.refuse = place, True
        self.committed: dict[TopicPartition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        return {self.place}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.refuse:
            self.refuse = False
            raise RequestTimedOutError
        self.committed |= offsets


class TestRealBroker:
    async def test_any_headers_are_taken(self, desk: Desk) -> None:
        bootstrap = await kafka.create_contract_topics()
        name, keys = f"desk-{new_id()}", [new_id() for _ in range(20)]
        consumer = desk.consumer(name)
        producer = make_producer(kafka.client(bootstrap))
        await producer.start()
        async with subscribed(kafka.client(bootstrap), name, [consumer], 500):
            for place, key in enumerate(keys):
                sent = message(KeyCreated(key_id=key), sequence=1, time=datetime.now(UTC))
                headers = sent.headers(SOURCE) + ([("x", b"\xff\xfe")] if place == 7 else [])
                await producer.send_and_wait("auth.key.v1", sent.body, key.encode(), headers=headers)
            for _ in range(200):
                if set(await desk.taken()) >= set(keys) - {keys[7]}:
                    break
                await asyncio.sleep(0.1)
        await producer.stop()
        assert set(keys) - set(await desk.taken()) == {keys[7]}
        assert (
            await desk.pool.fetchval("SELECT error FROM dead_letters WHERE raw_key = $1", keys[7].encode()) is not None
        )

    @pytest.mark.parametrize("header", poison.BAD_HEADERS, ids=range(len(poison.BAD_HEADERS)))
    async def test_poison_does_not_stop_its_batch(self, desk: Desk, header: tuple[str, bytes]) -> None:
        bad = desk.record("bad", 1)
        bad.headers = [*bad.headers, header]
        await asyncio.wait_for(desk.consumer().take([desk.record("a", 1), bad, desk.record("b", 1)]), 5)
        assert await desk.taken() == ["a", "b"]
        assert await desk.letters("unreadable") == 1

    async def test_unstorable_record_holds_its_partition(self, desk: Desk) -> None:
        bootstrap = await kafka.create_contract_topics()
        bad, later = new_id(), [new_id() for _ in range(3)]
        owner = await asyncpg.connect(desk.database.owner_url)
        await owner.execute("REVOKE INSERT ON dead_letters FROM auth_work")
        desk.failing.add(bad)
        async with taking(desk.consumer(f"desk-{new_id()}"), bootstrap) as send:
            await send(bad)
            for key in later:
                await send(key)
                await asyncio.sleep(0.5)
            await asyncio.sleep(1)
            desk.failing.clear()
            await owner.execute("GRANT INSERT ON dead_letters TO auth_work")
            await owner.close()
            await _all_taken(desk, [bad, *later])

    @pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
    async def test_record_unreadable_to_the_client_waits_alone(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch, compression: str | None
    ) -> None:
        topic = Topic(kafka.unique("auth.key"), "keys")
        bootstrap = await kafka.create_topics(topic.name, partitions=2)

        class KeyWritten(KeyCreated):
            pass

        KeyWritten.topic = topic
        type_registry.pop("KeyWritten")
        monkeypatch.setitem(SOURCES, topic.name, SOURCE)
        name, keys = f"desk-{new_id()}", [new_id() for _ in range(120)]
        handlers = Handlers(name)

        @handlers.on(KeyWritten)
        async def write_down(event: KeyWritten, work: Work) -> None:
            await work.connection.execute("INSERT INTO taken (key_id) VALUES ($1)", event.key_id)

        async with poison_producer(kafka.client(bootstrap), compression_type=compression, linger_ms=20) as producer:
            for number, key in enumerate(keys):
                made = message(KeyWritten(key_id=key), sequence=1, time=datetime.now(UTC))
                more = [(NotUtf8("x"), b"1")] if number in (0, 50, 51, 119) else []
                await producer.send(topic.name, made.body, key.encode(), 0, headers=[*made.headers(SOURCE), *more])
        bad = {keys[number] for number in (0, 50, 51, 119)}
        async with subscribed(
            kafka.client(bootstrap), name, [Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))], 30
        ):
            await _all_taken(desk, [key for key in keys if key not in bad])
        letters = await desk.pool.fetch("SELECT raw_key, error FROM dead_letters WHERE state = 'unreadable'")
        assert {row["raw_key"].decode() for row in letters} == bad
        assert {row["error"] for row in letters} == {"a header is not UTF-8"}
        assert sorted(await desk.taken()) == sorted(set(keys) - bad)

    async def test_unreadable_partition_is_paused_alone(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        topic = Topic(kafka.unique("auth.key"), "keys")
        bootstrap = await kafka.create_topics(topic.name, partitions=4)

        class KeyHeard(KeyCreated):
            pass

        KeyHeard.topic = topic
        type_registry.pop("KeyHeard")
        monkeypatch.setitem(SOURCES, topic.name, SOURCE)
        name = f"desk-{new_id()}"
        handlers = Handlers(name)

        @handlers.on(KeyHeard)
        async def write_down(event: KeyHeard, work: Work) -> None:
            await work.connection.execute("INSERT INTO taken (key_id) VALUES ($1)", event.key_id)

        producer = make_producer(kafka.client(bootstrap))
        await producer.start()

        async def send(partition: int, key: str) -> int:
            made = message(KeyHeard(key_id=key), sequence=1, time=datetime.now(UTC))
            sent = await producer.send_and_wait(
                topic.name, made.body, key.encode(), partition=partition, headers=made.headers(SOURCE)
            )
            offset: int = sent.offset
            return offset

        sent = [[new_id() for _ in range(20)] for _ in range(4)]
        for number in range(20):
            for partition, keys in enumerate(sent):
                await send(partition, keys[number])
        end = await send(2, unread := new_id())
        records = reading.Records.next_batch

        def unsound(fetched: Any) -> Any:
            if unread.encode() in bytes(fetched._next_slice or b""):
                raise ValueError("asked to fail")
            return records(fetched)

        monkeypatch.setattr(reading.Records, "next_batch", unsound)
        async with subscribed(
            kafka.client(bootstrap), name, [Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))], 500
        ):
            healthy = [key for partition, keys in enumerate(sent) for key in keys if partition != 2]
            later = [new_id() for _ in range(900)]
            for at in range(0, 900, 9):
                await asyncio.gather(*(send((0, 1, 3)[number % 3], later[at + number]) for number in range(9)))
            await _all_taken(desk, [*healthy, *later], seconds=20)
        await producer.stop()
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        committed = await admin.list_consumer_group_offsets(name)
        await admin.close()
        assert committed[TopicPartition(topic.name, 0)].offset == 320
        place = committed.get(TopicPartition(topic.name, 2))
        assert place is None or place.offset <= end

    async def test_failed_offsets_are_committed_later(self, desk: Desk) -> None:
        handlers = Handlers("late")

        @handlers.on(KeyCreated)
        async def ignore(event: KeyCreated, work: Work) -> None: ...

        consumer = Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))
        broker = ForgetfulBroker(TopicPartition("auth.key.v1", 0))
        subscription = Subscription(make_broker(kafka.client("127.0.0.1:1"), "late"), consumer, 10)
        subscription._subscriber = SimpleNamespace(consumer=broker)
        await subscription._take([Raw("auth.key.v1", 0, 41, None, None, [])])
        await subscription.commit_offsets()
        await subscription.commit_offsets()
        assert broker.committed == {broker.place: 42}


class TestUnheard:
    """Events of types that a service does not hear. `desk.consumer()` hears both; this one hears `KeyRevoked` alone."""

    def consumer(self, desk: Desk) -> Consumer:
        handlers = Handlers("desk")

        @handlers.on(KeyRevoked)
        async def write_down(event: KeyRevoked, work: Work) -> None:
            if event.key_id in desk.failing:
                raise RuntimeError("asked to fail")
            await work.connection.execute("INSERT INTO taken (key_id) VALUES ($1)", event.key_id)

        return Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))

    async def seen(self, desk: Desk) -> dict[str, int]:
        return {row["aggregate"]: row["sequence"] for row in await desk.pool.fetch("SELECT * FROM seen")}

    async def test_counting_waits_and_takes_all_together(self, desk: Desk) -> None:
        consumer = self.consumer(desk)
        await consumer.take([desk.record("a", 1), desk.record("b", 1), desk.record("a", 2)])
        assert await self.seen(desk) == {}
        await consumer.count_unheard()
        assert (await self.seen(desk), consumer.unheard) == ({"a": 2, "b": 1}, {})

    async def test_next_heard_one_counts_it(self, desk: Desk) -> None:
        consumer = self.consumer(desk)
        await consumer.take([desk.record("a", 1)])
        await consumer.take([desk.record("a", 2), desk.record("a", 3, KeyRevoked), desk.record("a", 4)])
        assert (await desk.taken(), await self.seen(desk), consumer.unheard) == (["a"], {"a": 4}, {})

    async def test_batch_that_comes_again_acts_once(self, desk: Desk) -> None:
        consumer = self.consumer(desk)
        batch = [desk.record("a", 1), desk.record("a", 2, KeyRevoked), desk.record("b", 1)]
        for _ in range(2):
            await consumer.take(batch)
        await consumer.count_unheard()
        assert (await desk.taken(), await self.seen(desk)) == (["a"], {"a": 2, "b": 1})

    async def test_gap_is_found(self, desk: Desk) -> None:
        consumer = self.consumer(desk)
        await consumer.take([desk.record("a", 1), desk.record("a", 3)])
        await consumer.count_unheard()
        assert (await self.seen(desk), await desk.letters()) == ({"a": 1}, 1)

    async def test_parked_key_keeps_its_order(self, desk: Desk) -> None:
        consumer = self.consumer(desk)
        desk.failing.add("a")
        await consumer.take([desk.record("a", 1, KeyRevoked)])
        await consumer.take([desk.record("a", 2)])
        await consumer.count_unheard()
        await consumer.take([desk.record("a", 3, KeyRevoked)])
        desk.failing.clear()
        await desk.hurry()
        assert await retry_due(consumer)
        assert (await desk.taken(), await self.seen(desk)) == (["a", "a"], {"a": 3})

    async def test_failed_batch_keeps_what_waited(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        consumer = self.consumer(desk)
        await consumer.take([desk.record("a", 1)])

        async def fail(_: Any) -> None:
            raise RuntimeError("can't be set aside either")

        monkeypatch.setattr(consumer, "_until_reached", fail)
        with pytest.raises(RuntimeError, match="either"):
            await consumer._take([desk.record("a", 2, KeyRevoked)])
        monkeypatch.undo()
        await consumer.take([desk.record("a", 2, KeyRevoked)])
        assert await self.seen(desk) == {"a": 2}

    async def test_offset_waits_until_it_is_counted(self, desk: Desk) -> None:
        broker = ForgetfulBroker(TopicPartition("auth.key.v1", 0))
        subscription = Subscription(make_broker(kafka.client("127.0.0.1:1"), "late"), self.consumer(desk), 10)
        subscription._subscriber = SimpleNamespace(consumer=broker)
        await subscription._take([desk.record("a", 1)])
        for _ in range(2):
            await subscription.commit_offsets()
        assert broker.committed == {}
        await subscription._count()
        for _ in range(2):
            await subscription.commit_offsets()
        assert (broker.committed, await self.seen(desk)) == ({broker.place: 2}, {"a": 1})

    async def test_running_process_counts_it_soon(self, desk: Desk) -> None:
        bootstrap, key = await kafka.create_contract_topics(), new_id()
        async with taking(self.consumer(desk), bootstrap) as send:
            await send(key)
            async with asyncio.timeout(20):
                while key not in await self.seen(desk):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    async def test_unwanted_body_is_not_read(self, desk: Desk) -> None:
        handlers = Handlers("desk")

        async def of_customers(envelopes: Sequence[Envelope], work: Work) -> list[str]:
            return [one.id for one in envelopes if one.subject != "nobody's"]

        @handlers.on_many(KeyCreated, wants=of_customers)
        async def write_down(events: Sequence[Received[KeyCreated]], work: Work) -> None:
            rows = [(received.event.key_id,) for received in events]
            await work.connection.executemany("INSERT INTO taken (key_id) VALUES ($1)", rows)

        unwanted, wrong = desk.record("nobody's", 1), desk.record("b", 1)
        unwanted.value = wrong.value = b"{"
        consumer = Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))
        await consumer.take([unwanted, wrong, desk.record("a", 1)])
        assert (await desk.taken(), await desk.letters()) == (["a"], 1)
        assert await self.seen(desk) == {"nobody's": 1, "a": 1}

    async def test_handler_registered_first_goes_first(self, desk: Desk) -> None:
        consumer = desk.consumer()
        await consumer.take([desk.record("a", 1, KeyRevoked), desk.record("b", 1, KeyCreated)])
        assert await desk.taken() == ["b", "a"]


class TestGathering:
    async def test_one_failure_stays_alone(self, desk: Desk) -> None:
        sizes: list[int] = []

        async def write_down(keys: Sequence[str], work: Work) -> Sequence[str]:
            sizes.append(len(keys))
            await work.connection.executemany("INSERT INTO taken (key_id) VALUES ($1)", [(key,) for key in keys])
            if "bad" in keys:
                raise RuntimeError("asked to fail")
            return [f"took {key}" for key in keys]

        units = Units(desk.pool, Clock("UTC"), Wake())
        handed = [units.together(write_down, key) for key in ("first", "a", "bad", "b")]
        outcomes = await asyncio.gather(*handed, return_exceptions=True)
        assert [repr(outcome) for outcome in outcomes] == [
            "'took first'",
            "'took a'",
            "RuntimeError('asked to fail')",
            "'took b'",
        ]
        assert sorted(await desk.taken()) == ["a", "b", "first"]
        assert sizes == [4, 1, 1, 1, 1]
        await units.together(write_down, "later")
        assert sizes[-1] == 1

    async def test_cancelled_caller_takes_nothing_back(self, desk: Desk) -> None:
        async def write_down(keys: Sequence[str], work: Work) -> Sequence[None]:
            await asyncio.sleep(0.1)
            await work.connection.executemany("INSERT INTO taken (key_id) VALUES ($1)", [(key,) for key in keys])
            return [None] * len(keys)

        units = Units(desk.pool, Clock("UTC"), Wake())
        gone = asyncio.create_task(units.together(write_down, "gone"))
        stays = asyncio.create_task(units.together(write_down, "stays"))
        await asyncio.sleep(0.02)
        gone.cancel()
        await stays
        assert sorted(await desk.taken()) == ["gone", "stays"]

    async def test_missing_database_fails_all_at_once(self, desk: Desk) -> None:
        tries: list[int] = []

        async def go_away(keys: Sequence[str], _: Work) -> Sequence[None]:
            tries.append(len(keys))
            raise ConnectionResetError("gone")

        units = Units(desk.pool, Clock("UTC"), Wake())
        outcomes = await asyncio.gather(*(units.together(go_away, key) for key in "abc"), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ConnectionResetError] * 3
        assert tries == [3]


async def test_process_answers_before_it_consumes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed is waited for by its group, and Kafka may be away: neither keeps requests waiting."""
    urls = {"owner_url": desk.database.owner_url, "api_url": desk.database.api_url, "work_url": desk.database.work_url}
    settings = ServiceSettings(kafka="127.0.0.1:1", **urls)
    handlers = Handlers(f"desk-{new_id()}")

    @handlers.on(KeyCreated)
    async def ignore(event: KeyCreated, work: Work) -> None: ...

    router, bootstrap = APIRouter(), await kafka.create_contract_topics()

    @router.get("/v1/things")
    async def things() -> list[str]:
        return []

    app = Service("auth", ServiceSettings, router, handlers=[handlers]).app(settings)
    transport = httpx2.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.get("/v1/things")).status_code == 200
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["parts"]) == (503, {"started": True, "consuming": False})
        monkeypatch.setattr(
            "chassis.messaging.subscribe.subscribed", lambda _, *rest: subscribed(kafka.client(bootstrap), *rest)
        )
        for _ in range(100):
            if (await client.get("/readyz")).status_code == 200:
                break
            await asyncio.sleep(0.2)
        assert (await client.get("/readyz")).json()["ready"]


@dataclass
class RaisingLog:
    """A log of which every line raises, as one on a full disk once did; or so many lines."""

    left: float = math.inf

    def line(self, *_: Any, **__: Any) -> None:
        self.left -= 1
        if self.left >= 0:
            raise OSError(28, "No space left on device")

    info = warning = error = line


LOGGING = ("messaging.consume", "messaging.dead_letters", "messaging.outbox", "messaging.subscribe", "service")


class TestLogThatRaises:
    """Nothing of what is handled, published or committed depends on a line that can be written."""

    @pytest.fixture(autouse=True)
    def raising(self, monkeypatch: pytest.MonkeyPatch) -> RaisingLog:
        log = RaisingLog()
        for module in LOGGING:
            monkeypatch.setattr(f"chassis.{module}.log", log)
        return log

    async def test_batch_waits_for_its_database(self, desk: Desk, raising: RaisingLog) -> None:
        raising.left = 0
        bootstrap = await kafka.create_contract_topics()
        keys = [new_id() for _ in range(8)]
        async with taking(desk.consumer(f"desk-{new_id()}"), bootstrap) as send:
            await send(keys[0])
            await _all_taken(desk, keys[:1])
            admin = await asyncpg.connect(admin_dsn())
            await admin.execute(f"ALTER DATABASE {desk.database.name} SET default_transaction_read_only = on")
            await cut(desk.database, "test")
            raising.left = math.inf
            for key in keys[1:]:
                await send(key)
                await asyncio.sleep(0.2)
            raising.left = 0
            await admin.execute(f"ALTER DATABASE {desk.database.name} RESET default_transaction_read_only")
            await admin.close()
            await _all_taken(desk, keys)

    async def test_batch_that_raises_is_tried_again(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        consumer, taken = desk.consumer(), desk.consumer().take
        tries: list[int] = []

        async def twice(records: Sequence[Any]) -> None:
            tries.append(len(records))
            if len(tries) < 3:
                raise RuntimeError("asked to")
            await taken(records)

        monkeypatch.setattr(consumer, "take", twice)
        monkeypatch.setattr("chassis.messaging.subscribe.AGAIN_SECONDS", 0.01)
        subscription = Subscription(make_broker(kafka.client("127.0.0.1:1"), "late"), consumer, 10)
        await subscription._take([desk.record("a", 1)])
        assert (await desk.taken(), tries) == (["a"], [1, 1, 1])

    async def test_offsets_after_a_cut_batch_stay(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        consumer = desk.consumer()
        broker = ForgetfulBroker(TopicPartition("auth.key.v1", 0))
        broker.refuse = False
        subscription = Subscription(make_broker(kafka.client("127.0.0.1:1"), "late"), consumer, 10)
        subscription._subscriber = SimpleNamespace(consumer=broker, tasks=[])
        await subscription._take([desk.record("a", 1)])
        monkeypatch.setattr(consumer, "take", _end)
        with pytest.raises(SystemExit):
            await subscription._take([desk.record("b", 1)])
        await subscription._take([desk.record("c", 1)])
        await subscription.commit_offsets()
        assert broker.committed == {broker.place: 2}

    async def test_relay_goes_on(self, desk: Desk, raising: RaisingLog) -> None:
        bootstrap, bell = await kafka.create_contract_topics(), Bell(desk.pool)
        raising.left = 2
        relay = Relay(desk.database.work_url, kafka.client(bootstrap), SOURCE, bell)
        running = asyncio.create_task(relay.run())
        async with Units(desk.pool, Clock("UTC"), bell).begin() as work:
            work.emit(message(KeyCreated(key_id=new_id()), sequence=1, time=work.now))
        async with asyncio.timeout(20):
            while await desk.pool.fetchval("SELECT count(*) FROM outbox"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        relay.stop()
        await asyncio.wait_for(running, 20)

    async def test_job_goes_on(self) -> None:
        ran = asyncio.Queue[None]()

        async def fail(_: Running) -> bool:
            ran.put_nowait(None)
            raise RuntimeError("asked to")

        running: Any = SimpleNamespace(units=SimpleNamespace(woken={"fail": asyncio.Event()}))
        repeating = asyncio.create_task(repeat(Job("fail", 0.01, fail), running))
        async with asyncio.timeout(5):
            for _ in range(3):
                await ran.get()
        repeating.cancel()


async def _end(*_: Any) -> None:
    raise SystemExit


class TestReadiness:
    async def test_ended_relay_is_not_ready(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        async def end(_: Relay) -> None: ...

        monkeypatch.setattr(Relay, "run", end)
        urls = {f"{role}_url": getattr(desk.database, f"{role}_url") for role in ("owner", "api", "work")}
        app = Service("auth", ServiceSettings, APIRouter()).app(ServiceSettings(kafka="127.0.0.1:1", **urls))
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            await asyncio.sleep(0)
            answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["parts"]) == (503, {"started": True, "relay": False})


class TestReplay:
    """Three letters of one key, each tells an event; failures planted at each letter, in every way, lose nothing."""

    @staticmethod
    async def _parked(desk: Desk) -> tuple[Consumer, dict[int, Callable[[Work], Awaitable[None]]]]:
        """A consumer with three letters that wait; what a letter does besides, by its sequence."""
        handlers, planted = Handlers("desk"), dict[int, Callable[[Work], Awaitable[None]]]()

        @handlers.on_many(KeyCreated, KeyRevoked)
        async def answer(events: Sequence[Received[Any]], work: Work) -> None:
            for received in events:
                made = KeyCreated(key_id=f"emitted-{received.event.key_id}")
                work.emit(message(made, sequence=received.sequence, time=work.now))
                await planted[received.sequence](work)

        consumer = Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))
        planted[1] = _fail
        await consumer.take([desk.record("a", 1), desk.record("a", 2, KeyRevoked), desk.record("a", 3, KeyRevoked)])
        planted |= {sequence: _nothing for sequence in (1, 2, 3)}
        return consumer, planted

    @pytest.mark.parametrize("way", ["raises", "statement", "flush", "commit"])
    @pytest.mark.parametrize("bad", [1, 2, 3])
    async def test_each_replayed_letter_emits_its_event(self, desk: Desk, bad: int, way: str) -> None:
        owner = await asyncpg.connect(desk.database.owner_url)
        await owner.execute(PROMISES)
        consumer, planted = await self._parked(desk)
        planted[bad] = {"raises": _fail, "statement": _flush_and_fail, "flush": _tell_twice, "commit": _promise}[way]
        await desk.hurry()
        assert await retry_due(consumer)
        assert await self._emitted(owner) == list(range(1, bad))
        assert await owner.fetchval("SELECT attempts FROM parked") == 1
        planted[bad] = _nothing
        await desk.hurry()
        assert await retry_due(consumer)
        assert await self._emitted(owner) == [1, 2, 3]
        assert not await owner.fetchval("SELECT count(*) FROM parked")
        await owner.close()

    @staticmethod
    async def _emitted(owner: asyncpg.Connection) -> list[int]:
        replayed = await owner.fetch("SELECT sequence FROM dead_letters WHERE state = 'replayed' ORDER BY 1")
        made = await owner.fetch("SELECT sequence FROM outbox WHERE aggregate = 'emitted-a' ORDER BY 1")
        assert made == replayed
        return [row["sequence"] for row in replayed]

    async def test_key_that_fails_at_commit_ends(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """Even where only the commit itself fails, the failure counts and the keys behind it are reached."""
        owner = await asyncpg.connect(desk.database.owner_url)
        await owner.execute(PROMISES)
        consumer, planted = await self._parked(desk)
        monkeypatch.setattr(replay, "_conclude", Work.flush)
        planted[2] = _promise
        for attempts in (1, 2, 3):
            await desk.hurry()
            assert await retry_due(consumer)
            assert await owner.fetchval("SELECT attempts FROM parked") == attempts
        assert not await retry_due(consumer)
        await owner.close()

    async def test_replayed_and_seen_are_counted_apart(self, desk: Desk) -> None:
        consumer = desk.consumer()
        desk.failing.add("a")
        await consumer.take([desk.record("a", 1), desk.record("a", 2, KeyRevoked)])
        desk.failing.clear()
        await desk.pool.execute("INSERT INTO seen VALUES ('desk', 'auth.key.v1', 'a', 1)")
        await desk.hurry()
        assert await retry_due(consumer)
        states = await desk.pool.fetch("SELECT sequence, state FROM dead_letters ORDER BY sequence")
        assert [tuple(row) for row in states] == [(1, "seen"), (2, "replayed")]

    @pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError, RacedError])
    async def test_concurrent_replay_costs_no_attempt(self, desk: Desk, error: type[Exception]) -> None:
        handlers, raising = Handlers("desk"), [RuntimeError("asked to fail")]

        @handlers.on(KeyCreated)
        async def fail(event: KeyCreated, work: Work) -> None:
            raise raising[0]

        consumer = Consumer(handlers, Units(desk.pool, Clock("UTC"), Wake()))
        await consumer.take([desk.record("a", 1)])
        raising[0] = error("met another")  # type: ignore[call-overload]
        for _ in range(5):
            await desk.hurry()
            assert await retry_due(consumer)
        assert await desk.pool.fetchval("SELECT attempts FROM parked WHERE retry_at IS NOT NULL") == 0


# A promise that is checked at the commit, as the ledger's is.
PROMISES = """
CREATE TABLE promises (kept bool);
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a promise is broken'; END $$;
CREATE CONSTRAINT TRIGGER kept AFTER INSERT ON promises DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NOT NEW.kept) EXECUTE FUNCTION keep();
"""


async def _nothing(work: Work) -> None: ...


async def _fail(work: Work) -> None:
    raise RuntimeError("asked to fail")


async def _flush_and_fail(work: Work) -> None:
    """As a handler that writes the outbox in a statement of its own, which fails."""
    await work.flush()
    await work.connection.execute("SELECT 1 / 0")


async def _tell_twice(work: Work) -> None:
    work.emit(work.emitted[-1][0])


async def _promise(work: Work) -> None:
    await work.connection.execute("INSERT INTO promises VALUES (false)")
