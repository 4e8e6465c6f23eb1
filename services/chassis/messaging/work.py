"""The unit of work: one database transaction, the events that it emits, and what caused it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from chassis import telemetry
from chassis.clock import Clock
from chassis.db.pool import out_of_reach
from contracts.envelope import Message

MOST_TOGETHER = 200
OUTBOX_COLUMNS = "event_id, topic, aggregate, sequence, type, headers, payload, created_at"


def insert_outbox(first: int = 1) -> str:
    """The statement that writes messages, its eight parameters numbered from `first`; it also stands as a CTE.

    >>> insert_outbox().count("$")
    8
    """
    types = ("uuid[]", "text[]", "text[]", "bigint[]", "text[]", "text[]", "bytea[]", "timestamptz[]")
    arrays = ", ".join(f"${first + place}::{name}" for place, name in enumerate(types))
    rows = f"SELECT * FROM unnest({arrays}) AS o ({OUTBOX_COLUMNS})"  # noqa: S608 - own constants
    return f"INSERT INTO outbox ({OUTBOX_COLUMNS}) {rows}"


def insert_history(first: int, *kept_topics: str) -> str:
    """A CTE's statement that keeps the messages to these topics, from the parameters of `insert_outbox`."""
    kept = {"aggregate": (2, "text[]"), "topic": (1, "text[]"), "sequence": (3, "bigint[]"), "type": (4, "text[]"),
            "payload": (6, "bytea[]"), "at": (7, "timestamptz[]")}  # fmt: skip
    arrays = ", ".join(f"${first + place}::{name}" for place, name in kept.values())
    return f"""INSERT INTO history (aggregate, sequence, type, at, payload)
    SELECT aggregate::uuid, sequence, type, at, payload FROM unnest({arrays}) AS h ({", ".join(kept)})
    WHERE topic IN ({", ".join(f"'{topic}'" for topic in kept_topics)})"""  # noqa: S608 - own constants


HISTORY = "SELECT sequence, type, at, payload FROM history WHERE aggregate = $1 ORDER BY sequence LIMIT 1000"


@dataclass(frozen=True, slots=True)
class Cause:
    """Where a unit of work comes from; it travels on with what the work emits."""

    correlation: str | None = None
    causation: str | None = None
    actor: str | None = None
    acting_for: str | None = None
    traceparent: str | None = None


@dataclass(slots=True)
class Work:
    """A unit of work. Handlers and API functions get it and never commit it themselves.

    `own`: what the service adds to its processes.
    """

    connection: asyncpg.Connection
    clock: Clock
    now: datetime
    cause: Cause = field(default_factory=Cause)
    emitted: list[tuple[Message, Cause]] = field(default_factory=list)
    written: int = 0
    woken: set[str] = field(default_factory=set)
    own: Any = None

    def wake(self, job: str) -> None:
        """Run a job at once after the commit, instead of at its time."""
        self.woken.add(job)

    def emit(self, *messages: Message) -> None:
        """Events go out when, and only when, the transaction commits."""
        self.emitted.extend((message, self.cause) for message in messages)

    def outbox_arguments(self) -> list[list[Any]]:
        """The parameters of `insert_outbox` for what was emitted, which then counts as written."""
        pairs, self.emitted = self.emitted, []
        self.written += len(pairs)
        messages = [message for message, _ in pairs]
        trace = telemetry.traceparent()
        return [
            [message.id for message in messages],
            [message.topic for message in messages],
            [message.aggregate for message in messages],
            [message.sequence for message in messages],
            [message.type for message in messages],
            [_headers(message, cause, trace) for message, cause in pairs],
            [message.body for message in messages],
            [message.time for message in messages],
        ]

    async def flush(self) -> None:
        """Write what was emitted, in one statement."""
        if self.emitted:
            await self.connection.execute(INSERT_OUTBOX, *self.outbox_arguments())


INSERT_OUTBOX = insert_outbox()


def _headers(message: Message, cause: Cause, trace: str | None) -> str:
    named = {
        "customer": message.customer,
        "correlation": cause.correlation or message.id,
        "causation": cause.causation,
        "actor": cause.actor,
        "actingfor": cause.acting_for,
        "traceparent": cause.traceparent or trace,
    }
    return orjson.dumps({name: value for name, value in named.items() if value}).decode()


Together = Callable[[Sequence[Any], Work], Awaitable[Sequence[Any]]]


class Units:
    """Makes units of work on a pool, and wakes the relay when one has committed events."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock, wake: Wake, own: Any = None) -> None:
        self.pool, self.clock, self.wake, self.own = pool, clock, wake, own
        self.woken: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._gathered: dict[Together, Gathered] = {}

    async def together(self, handle: Together, item: Any, *, single: bool = False) -> Any:
        """Handle an item in one unit of work with all others that were handed over while the unit before was running.

        Returns the handler's result for the item once all is committed. When a batch fails, its items run alone, and
        each caller gets its own error; a database out of reach fails all of them. `single`: the handler saves in one
        statement, which is a transaction of its own.
        """
        gathered = self._gathered.get(handle)
        if gathered is None:
            gathered = self._gathered[handle] = Gathered(handle, self.single if single else self.begin)
        return await gathered.put(item)

    @asynccontextmanager
    async def begin(self, cause: Cause | None = None) -> AsyncIterator[Work]:
        async with self._at_work(cause) as work, work.connection.transaction():
            yield work
            await work.flush()
        self._committed(work)

    @asynccontextmanager
    async def single(self, cause: Cause | None = None) -> AsyncIterator[Work]:
        """For commands that save all in one statement, which is a transaction of its own."""
        async with self._at_work(cause) as work:
            yield work
        self._committed(work)

    @asynccontextmanager
    async def _at_work(self, cause: Cause | None) -> AsyncIterator[Work]:
        try:
            async with self.pool.acquire() as connection:
                yield Work(connection, self.clock, self.clock.now(), cause or Cause(), own=self.own)
        except asyncpg.ReadOnlySQLTransactionError:  # of a server that leads no more: find the one that does
            await self.pool.expire_connections()
            raise

    def _committed(self, work: Work) -> None:
        if work.written:
            self.wake.ring()
        for job in work.woken:
            self.woken[job].set()
        if work.woken:
            self.wake.call(work.woken)


class Gathered:
    """Items that wait for one handler, and the callers that wait for them."""

    def __init__(self, handle: Together, begin: Callable[[], AbstractAsyncContextManager[Work]]) -> None:
        self._handle, self._begin = handle, begin
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._running: asyncio.Task[None] | None = None

    async def put(self, item: Any) -> Any:
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await done

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                await self._take(batch)
        finally:
            self._running = None

    async def _take(self, batch: list[tuple[Any, asyncio.Future[Any]]]) -> None:
        try:
            async with self._begin() as work:
                results = await self._handle([item for item, _ in batch], work)
            settled = list(zip(batch, results, strict=True))
        except Exception as error:
            if len(batch) > 1 and not out_of_reach(error):
                for one in batch:
                    await self._take([one])
                return
            for _, done in batch:
                if not done.done():
                    done.set_exception(error)
        else:
            for (_, done), result in settled:
                if not done.done():
                    done.set_result(result)


class Wake:
    """Wakes the relay and the jobs of other processes. This base class wakes nobody: they look by themselves, later."""

    def ring(self) -> None:
        """There is something to publish."""

    def call(self, jobs: Iterable[str]) -> None:
        """These jobs have something to do."""
