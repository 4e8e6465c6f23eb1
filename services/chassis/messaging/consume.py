"""Consuming: batches of records, each event once and in order, a bad one set aside without the rest."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from prometheus_client import Counter, Histogram

from chassis import telemetry
from chassis.db.pool import COLLIDED, out_of_reach
from chassis.messaging import dead_letters
from chassis.messaging.handlers import Handler, Handlers, Run, Wants
from chassis.messaging.records import COMPACTED, GapError, Item, RacedError, Received, Record, cause_of, parse, read
from chassis.messaging.work import Units, Work
from contracts.envelope import Envelope, MalformedError

log = structlog.get_logger()
taken = Counter("paidup_events_taken_total", "Events handled", ["consumer", "type"])
passed = Counter("paidup_events_passed_total", "Events passed over", ["consumer", "why"])
stuck = Counter("paidup_batches_stuck_total", "Times that a batch could be neither taken nor set aside", ["consumer"])
batches = Histogram("paidup_batch_seconds", "Time of one batch, database and all", ["consumer"])


Place = tuple[str, str]  # a topic, and an aggregate in it


class Consumer:
    """Takes batches of one consumer name. Several replicas may do so at once: `seen` decides."""

    def __init__(self, handlers: Handlers, units: Units) -> None:
        self.name = handlers.consumer
        self.handlers = handlers
        self.units = units
        self.acts_from: datetime | None = None
        self.unheard: dict[Place, list[Item]] = {}

    async def take(self, records: Sequence[Record]) -> None:
        """Returns when every record is handled, passed over, or set aside: its offset may be committed.

        Or it waits in `unheard`, because the service hears no events of its type. Then no offset may be committed
        until it is counted as seen: with the next event of its aggregate that is heard, or by `count_unheard`.

        Never raises, because the caller would drop the batch. A record that can't even be set aside is tried again for
        ever, and holds its partition.
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
        heard = {_place(item) for item in readable if self._hears(item)}
        waited = [item for place in heard for item in self.unheard.get(place, ())]
        await self._take_items([*waited, *(item for item in readable if _place(item) in heard)])
        for place in heard:
            self.unheard.pop(place, None)
        for item in readable:
            if _place(item) not in heard:
                self.unheard.setdefault(_place(item), []).append(item)

    async def count_unheard(self) -> None:
        """Count what waits in `unheard` as seen. If this is cut off, nothing is lost: Kafka gives it again."""
        await self._take_items([item for items in self.unheard.values() for item in items])
        self.unheard.clear()

    def _hears(self, item: Item) -> bool:
        return item.command or item.envelope.type in self.handlers.by_type

    async def _take_items(self, readable: Sequence[Item]) -> None:
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
            try:
                item = read(record)
                handler = self.handlers.by_type.get(item.envelope.type)
                if record.value is None and handler is not None and not handler.type.erases:
                    raise MalformedError("the body is null")
                readable.append(item)
            except MalformedError as error:
                unreadable.append((record, str(error)))
        return readable, unreadable

    async def _together(self, items: Sequence[Item]) -> None:
        with _spans(items):
            async with self.units.begin() as work:
                await self.handle(items, work)

    async def handle(self, items: Sequence[Item], work: Work, *, parked: bool = False) -> int:
        """Handle the new items in the caller's transaction. Returns how many. `parked`: they are a replay."""
        fresh = await self._fresh(items, work, parked=parked)
        for handler, group in self._rounds(await self._lock(fresh, work)):
            received = group if handler.wants is None else await self._wanted(handler.wants, group, work)
            taken.labels(self.name, handler.type.__name__).inc(len(received))
            if received:
                await handler.run(received, work)
        return len(fresh)

    async def _wanted(self, wants: Wants, items: Sequence[Item], work: Work) -> list[Received[Any]]:
        """Those that concern the handler, parsed."""
        ids = await wants([item.envelope for item in items], work)
        passed.labels(self.name, "concerns nobody").inc(sum(item.envelope.id not in ids for item in items))
        types = self.handlers.by_type
        return [
            parse(item, types[item.envelope.type].type, raw=types[item.envelope.type].raw)
            for item in items
            if item.envelope.id in ids
        ]

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

    async def _lock(self, fresh: list[Item], work: Work) -> list[tuple[Handler, Any]]:
        """Parse what has a handler, and take all row locks that the batch needs, sorted.

        What a handler may not want stays an item for now.
        """
        ready: list[tuple[Handler, Any]] = []
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
            if handler.wants is not None:
                ready.append((handler, item))
                continue
            received = parse(item, handler.type, raw=handler.raw)
            ready.append((handler, received))
            if handler.lock is not None:
                locks[handler.lock.rank, handler.lock.table].add(handler.lock.id_of(received.event))
        for (_, table), ids in sorted(locks.items()):
            await work.connection.execute(
                f"SELECT FROM {table} WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE", sorted(ids)
            )
        return ready

    def _answer_unknown(self, item: Item, work: Work) -> None:
        """An event of an unknown type is passed over. The sender of a command of an unknown type gets an answer."""
        if item.command and self.handlers.answer_unknown is not None:
            work.cause = cause_of(item.envelope)
            work.emit(self.handlers.answer_unknown(item.envelope, work.now))

    def _too_old(self, envelope: Envelope) -> bool:
        return self.acts_from is not None and envelope.time is not None and envelope.time < self.acts_from

    def _rounds(self, ready: Sequence[tuple[Handler, Any]]) -> list[tuple[Handler, list[Any]]]:
        """Groups of one handler as large as can be, each aggregate's events still in their order.

        Of groups without such an order, the handler that was registered first goes first.
        """
        rounds: list[dict[int, tuple[Handler, list[Any]]]] = []
        last: dict[str, tuple[int, Run]] = {}
        for handler, received in ready:
            aggregate = received.about
            at, run = last.get(aggregate, (0, handler.run))
            at += run is not handler.run
            last[aggregate] = (at, handler.run)
            while len(rounds) <= at:
                rounds.append({})
            rounds[at].setdefault(id(handler.run), (handler, []))[1].append(received)
        places = {id(handler.run): place for place, handler in enumerate(self.handlers.by_type.values())}
        return [each[run] for each in rounds for run in sorted(each, key=places.__getitem__)]


def _place(item: Item) -> Place:
    return item.record.topic, item.key


@contextmanager
def _spans(items: Sequence[Item]) -> Iterator[None]:
    """A span for each record, over the time of its batch, under the span that emitted it."""
    with ExitStack() as spans:
        for item in items if telemetry.enabled() else ():
            record = item.record
            name, type_name = f"process {record.topic}", item.envelope.type
            spans.enter_context(telemetry.record_span(name, record.headers, type=type_name, offset=record.offset))
        yield


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
