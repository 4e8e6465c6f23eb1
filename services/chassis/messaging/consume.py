"""Consuming: batches of records, each event once and in order, a bad one set aside without the rest."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import structlog
from prometheus_client import Counter, Histogram
from pydantic import ValidationError

from chassis import telemetry
from chassis.db.pool import COLLIDED, out_of_reach
from chassis.messaging import dead_letters
from chassis.messaging.work import Cause, Units, Work
from contracts.envelope import Envelope, Event, MalformedError, Message, bounded, read_headers
from contracts.topics import TOPICS

log = structlog.get_logger()
taken = Counter("paidup_events_taken_total", "Events handled", ["consumer", "type"])
passed = Counter("paidup_events_passed_total", "Events passed over", ["consumer", "why"])
stuck = Counter("paidup_batches_stuck_total", "Times that a batch could be neither taken nor set aside", ["consumer"])
batches = Histogram("paidup_batch_seconds", "Time of one batch, database and all", ["consumer"])

E = TypeVar("E", bound=Event)
COMPACTED = frozenset(topic.name for topic in TOPICS if topic.compacted)
COMMAND_TOPICS = frozenset(topic.name for topic in TOPICS if topic.commands)
SOURCES = {topic.name: f"paidup/{topic.name.partition('.')[0]}" for topic in TOPICS if not topic.commands}


class Record(Protocol):
    """What Kafka hands over (aiokafka's ConsumerRecord), or a dead letter read back."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Received(Generic[E]):
    """An event with what its envelope says. `event` is None for handlers that take raw bodies."""

    event: E
    id: str
    sequence: int
    body: bytes
    cause: Cause
    time: datetime | None = None


Run = Callable[[Sequence[Any], Work], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lock:
    """A row lock that a handler needs. All of a batch are taken before its first handler, by rank, then by id."""

    rank: int
    table: str
    id_of: Callable[[Any], str]


@dataclass(frozen=True, slots=True)
class Handler:
    type: type[Event]
    run: Run
    lock: Lock | None
    acts: bool
    raw: bool

    @property
    def bodiless(self) -> bool:
        return self.type.erases


class GapError(RuntimeError):
    """An event came before its predecessor."""


class RacedError(RuntimeError):
    """Another replica took some of the same events at the same time."""


Answer = Callable[[Record, str, datetime], Message]
AnswerUnknown = Callable[[Envelope, datetime], Message]


class Handlers:
    """A service's handlers by event type, under its consumer name."""

    def __init__(
        self, consumer: str, *, answer_unreadable: Answer | None = None, answer_unknown: AnswerUnknown | None = None
    ) -> None:
        """What the sender of a command hears that has no readable envelope, or a type that there is not."""
        self.consumer, self.answer_unreadable, self.answer_unknown = consumer, answer_unreadable, answer_unknown
        self.by_type: dict[str, Handler] = {}

    def on(
        self, event_type: type[E], *, lock: Lock | None = None, acts: bool = False
    ) -> Callable[[Callable[[E, Work], Awaitable[None]]], Callable[[E, Work], Awaitable[None]]]:
        """`acts`: it does something in the world, so events older than the consumer itself are ignored."""

        def register(handle: Callable[[E, Work], Awaitable[None]]) -> Callable[[E, Work], Awaitable[None]]:
            async def each(events: Sequence[Received[E]], work: Work) -> None:
                for received in events:
                    work.cause = received.cause
                    await handle(received.event, work)

            self.by_type[event_type.__name__] = Handler(event_type, each, lock, acts, raw=False)
            return handle

        return register

    def on_many(
        self, *event_types: type[E], lock: Lock | None = None, acts: bool = False, raw: bool = False
    ) -> Callable[
        [Callable[[Sequence[Received[E]], Work], Awaitable[None]]],
        Callable[[Sequence[Received[E]], Work], Awaitable[None]],
    ]:
        """All events of these types in a batch at once, each aggregate's in order. `raw`: bodies are not parsed."""

        def register(
            handle: Callable[[Sequence[Received[E]], Work], Awaitable[None]],
        ) -> Callable[[Sequence[Received[E]], Work], Awaitable[None]]:
            for event_type in event_types:
                self.by_type[event_type.__name__] = Handler(event_type, handle, lock, acts, raw)
            return handle

        return register

    def topics(self) -> list[str]:
        return sorted({handler.type.topic.name for handler in self.by_type.values()})


@dataclass(slots=True)
class Item:
    """A record with its envelope, on its way through one batch."""

    record: Record
    envelope: Envelope
    key: str
    command: bool


class Consumer:
    """Takes batches of one consumer name. Several replicas may do so at once: `seen` decides."""

    def __init__(self, handlers: Handlers, units: Units) -> None:
        self.name = handlers.consumer
        self.handlers = handlers
        self.units = units
        self.acts_from: datetime | None = None

    async def take(self, records: Sequence[Record]) -> None:
        """Returns when every record is handled, passed over, or set aside: its offset may be committed.

        Never raises. What can't even be set aside is tried again for ever, and nothing gets past it: whoever calls
        throws away the batch of an error.
        """
        wait = 0.1
        with batches.labels(self.name).time():
            while True:
                try:
                    return await self._take(records)
                except Exception as error:
                    with suppress(Exception):  # to count and to log must not end what is tried for ever
                        stuck.labels(self.name).inc()
                        log.error("batch can't be taken, it is tried again", consumer=self.name, error=repr(error))
                    await asyncio.sleep(wait)
                    wait = min(2.0, wait * 2)

    async def _take(self, records: Sequence[Record]) -> None:
        readable, unreadable = self._read(records)
        for record, error in unreadable:
            keep = partial(dead_letters.keep_unreadable, self.units, self.name, record, error)
            await self._until_reached(partial(keep, self.handlers.answer_unreadable))
        if not readable:
            return
        try:
            await self._until_reached(partial(self._together, readable))
        except Exception as error:
            log.warning(
                "batch failed, taking its events one by one", consumer=self.name, error=repr(error), size=len(readable)
            )
            await self._one_by_one(readable)

    async def _one_by_one(self, items: Sequence[Item]) -> None:
        for item in items:
            try:
                await self._until_reached(partial(self._together, [item]))
            except Exception as error:
                passed.labels(self.name, "set aside").inc()
                log.error(
                    "event set aside", consumer=self.name, type=item.envelope.type, key=item.key, error=repr(error)
                )
                await self._until_reached(
                    partial(dead_letters.park, self.units, self.name, item.record, item.envelope, item.key, error)
                )

    async def _until_reached(self, attempt: Callable[[], Awaitable[None]]) -> None:
        wait = 0.1
        while True:
            try:
                return await attempt()
            except (RacedError, *COLLIDED):
                await asyncio.sleep(0.01)
            except Exception as error:
                if not out_of_reach(error):
                    raise
                log.warning("database out of reach", consumer=self.name, error=repr(error), retry_seconds=wait)
                await asyncio.sleep(wait)
                wait = min(2.0, wait * 2)

    def _read(self, records: Iterable[Record]) -> tuple[list[Item], list[tuple[Record, str]]]:
        readable: list[Item] = []
        unreadable: list[tuple[Record, str]] = []
        for record in records:
            command = record.topic in COMMAND_TOPICS
            try:
                envelope = read_headers(record.headers, commands=command)
                handler = self.handlers.by_type.get(envelope.type)
                if record.value is None and handler is not None and not handler.bodiless:
                    raise MalformedError("the body is null")
                readable.append(Item(record, envelope, self._key(record, envelope, command), command))
            except MalformedError as error:
                unreadable.append((record, str(error)))
        return readable, unreadable

    @staticmethod
    def _key(record: Record, envelope: Envelope, command: bool) -> str:
        """What waits together when one fails. A command without a key waits alone."""
        if not command:
            if envelope.source != (rightful := SOURCES[record.topic]):
                raise MalformedError(f"ce_source is not {rightful}, which alone tells events here")
            return envelope.subject
        try:
            return bounded("the key", (record.key or b"").decode()) or envelope.id
        except UnicodeDecodeError as error:
            raise MalformedError("the key is not UTF-8") from error

    async def _together(self, items: Sequence[Item]) -> None:
        with _spans(items):
            async with self.units.begin() as work:
                await self.handle(items, work)

    async def handle(self, items: Sequence[Item], work: Work, *, parked: bool = False) -> int:
        """Handle what is new of the items in the caller's transaction; how many. `parked`: a replay of parked ones."""
        fresh = await self._fresh(items, work, parked=parked)
        for handler, group in self._rounds(await self._lock(fresh, work)):
            taken.labels(self.name, handler.type.__name__).inc(len(group))
            await handler.run(group, work)
        return len(fresh)

    async def _fresh(self, items: Sequence[Item], work: Work, *, parked: bool) -> list[Item]:
        events = [item for item in items if not item.command]
        commands = [item for item in items if item.command]
        fresh = await self._fresh_commands(commands, work) if commands else []
        if events:
            fresh += await self._fresh_events(events, work, replay=parked)
        return fresh

    async def _fresh_commands(self, items: list[Item], work: Work) -> list[Item]:
        """Commands whose source and id are new; a second replica that holds the same one waits here for the first."""
        first = {(item.envelope.id, item.envelope.source): item for item in reversed(items)}
        rows = await work.connection.fetch(MARK_COMMANDS, self.name, *zip(*sorted(first), strict=True), work.now)
        passed.labels(self.name, "seen").inc(len(items) - len(rows))
        new = {id(first[row["id"], row["source"]]) for row in rows}
        return [item for item in items if id(item) in new]

    async def _fresh_events(self, items: list[Item], work: Work, *, replay: bool) -> list[Item]:
        """Events that are next in their aggregate's sequence; marks them seen, sets aside those behind a parked key."""
        places = sorted({(item.record.topic, item.key) for item in items})
        topics, aggregates = [place[0] for place in places], [place[1] for place in places]
        rows = await work.connection.fetch(LOAD_SEEN, self.name, topics, aggregates)
        before = {(row["topic"], row["aggregate"]): row["sequence"] for row in rows}
        held = set() if replay else {(row["topic"], row["aggregate"]) for row in rows if row["held"]}
        now_seen, customers, fresh = dict(before), dict[tuple[str, str], str | None](), []
        for item in items:
            place = (item.record.topic, item.key)
            if item.envelope.sequence <= now_seen[place]:
                passed.labels(self.name, "seen").inc()
            elif place in held:
                await dead_letters.follow(work, self.name, item.record, item.envelope, item.key)
            elif item.envelope.sequence > now_seen[place] + 1 and item.record.topic not in COMPACTED:
                raise GapError(f"sequence {item.envelope.sequence} came after {now_seen[place]}")
            else:
                now_seen[place] = item.envelope.sequence
                customers[place] = item.envelope.customer
                fresh.append(item)
        moved = [place for place in places if now_seen[place] != before[place]]
        if moved:
            marked = await work.connection.fetchval(
                MARK_SEEN, self.name, [p[0] for p in moved], [p[1] for p in moved],
                [now_seen[p] for p in moved], [before[p] for p in moved], [customers[p] for p in moved],
            )  # fmt: skip
            if marked != len(moved):
                raise RacedError
        return fresh

    async def _lock(self, fresh: list[Item], work: Work) -> list[tuple[Handler, Received[Any]]]:
        """Parse what has a handler, and take all row locks that the batch needs, sorted."""
        ready: list[tuple[Handler, Received[Any]]] = []
        locks: dict[tuple[int, str], set[str]] = defaultdict(set)
        for item in fresh:
            handler = self.handlers.by_type.get(item.envelope.type)
            if handler is None:
                passed.labels(self.name, "unknown type").inc()
                self._answer_unknown(item, work)
                continue
            if handler.acts and self._too_old(item.envelope):
                passed.labels(self.name, "older than the consumer").inc()
                continue
            received = _receive(item, handler)
            ready.append((handler, received))
            if handler.lock is not None:
                locks[handler.lock.rank, handler.lock.table].add(handler.lock.id_of(received.event))
        for (_, table), ids in sorted(locks.items()):
            await work.connection.execute(
                f"SELECT FROM {table} WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", sorted(ids)
            )
        return ready

    def _answer_unknown(self, item: Item, work: Work) -> None:
        """An event of a type that nobody here hears is passed over; whoever sends a command has to hear of it."""
        if item.command and self.handlers.answer_unknown is not None:
            work.cause = _cause_of(item.envelope)
            work.emit(self.handlers.answer_unknown(item.envelope, work.now))

    def _too_old(self, envelope: Envelope) -> bool:
        return self.acts_from is not None and envelope.time is not None and envelope.time < self.acts_from

    @staticmethod
    def _rounds(ready: Sequence[tuple[Handler, Received[Any]]]) -> list[tuple[Handler, list[Received[Any]]]]:
        """Groups of one handler as large as can be, each aggregate's events still in their order."""
        rounds: list[dict[int, tuple[Handler, list[Received[Any]]]]] = []
        last: dict[str, tuple[int, Run]] = {}
        for handler, received in ready:
            aggregate = received.event.aggregate_id if received.event is not None else received.id
            at, run = last.get(aggregate, (0, handler.run))
            at += run is not handler.run
            last[aggregate] = (at, handler.run)
            while len(rounds) <= at:
                rounds.append({})
            rounds[at].setdefault(id(handler.run), (handler, []))[1].append(received)
        return [group for each in rounds for group in each.values()]


@contextmanager
def _spans(items: Sequence[Item]) -> Iterator[None]:
    """A span for each record, over the time of its batch, under the span that emitted it."""
    with ExitStack() as spans:
        for item in items if telemetry.enabled() else ():
            record = item.record
            name, type_name = f"process {record.topic}", item.envelope.type
            spans.enter_context(telemetry.record_span(name, record.headers, type=type_name, offset=record.offset))
        yield


def _receive(item: Item, handler: Handler) -> Received[Any]:
    envelope, body = item.envelope, item.record.value or b""
    event: Any = None
    if handler.bodiless:
        event = handler.type.model_construct(None, **{handler.type.aggregate: envelope.subject})
    elif not handler.raw:
        try:
            event = handler.type.model_validate_json(body)
        except ValidationError as error:
            raise MalformedError(_without_input(error)) from None
        if event.aggregate_id != envelope.subject:
            raise MalformedError(f"the body is about another {handler.type.aggregate} than ce_subject")
    return Received(event, envelope.id, envelope.sequence, body, _cause_of(envelope), envelope.time)


def _cause_of(envelope: Envelope) -> Cause:
    return Cause(envelope.correlation or envelope.id, envelope.id, envelope.actor, envelope.traceparent)


def _without_input(error: ValidationError) -> str:
    """Field and reason of each fault; never the input itself, which may hold personal data."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_input=False)[:5]
    )


LOAD_SEEN = """
SELECT w.topic, w.aggregate, coalesce(s.sequence, 0) AS sequence, p.key IS NOT NULL AS held
FROM unnest($2::text[], $3::text[]) AS w (topic, aggregate)
LEFT JOIN seen s ON s.aggregate = w.aggregate AND s.topic = w.topic AND s.consumer = $1
LEFT JOIN parked p ON p.key = w.aggregate AND p.topic = w.topic AND p.consumer = $1
"""

# Only from the sequence that was read: when another replica has moved it meanwhile, fewer rows come back.
MARK_SEEN = """
WITH mark AS (
    SELECT * FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[])
        AS m (topic, aggregate, sequence, before, customer)
), moved AS (
    UPDATE seen s SET sequence = m.sequence, customer = m.customer FROM mark m
    WHERE m.before > 0 AND s.aggregate = m.aggregate AND s.topic = m.topic AND s.consumer = $1 AND s.sequence = m.before
    RETURNING 1
), made AS (
    INSERT INTO seen (consumer, topic, aggregate, sequence, customer)
    SELECT $1, topic, aggregate, sequence, customer FROM mark WHERE before = 0 ORDER BY aggregate
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT (SELECT count(*) FROM moved) + (SELECT count(*) FROM made)
"""

MARK_COMMANDS = """
INSERT INTO seen_commands (consumer, id, source, seen_at)
SELECT $1, id, source, $4 FROM unnest($2::text[], $3::text[]) AS c (id, source)
ON CONFLICT DO NOTHING RETURNING id, source
"""
