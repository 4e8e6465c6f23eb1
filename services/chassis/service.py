"""A service, put together: `python -m NAME [serve | work | dead-letters …]`; serve and work by default."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request

from chassis import checks, logs, telemetry
from chassis.clock import Clock
from chassis.db.locks import JOB_ALONE
from chassis.db.pool import open_pool
from chassis.db.reads import OfCustomer, Reads, open_portal
from chassis.http.app import create_app
from chassis.http.identity import Identity
from chassis.http.limits import Limits
from chassis.http.protocol import BoundedHead
from chassis.http.seen import sequences
from chassis.memory import collect_seldom
from chassis.messaging import dead_letters
from chassis.messaging.consume import Consumer
from chassis.messaging.handlers import Handlers
from chassis.messaging.outbox import Relay
from chassis.messaging.replay import retry_due
from chassis.messaging.subscribe import joining
from chassis.messaging.wake import Bell, listen
from chassis.messaging.work import Cause, Units
from chassis.settings import ServiceSettings
from chassis.tasks import queue as tasks
from chassis.tasks.queue import Queues
from chassis.tasks.worker import Worker, measure

log = structlog.get_logger()


@dataclass(slots=True)
class Running:
    """What a running process holds. `units` is of the api role for requests and of the work role for jobs."""

    settings: Any
    clock: Clock
    pool: asyncpg.Pool
    units: Units
    more: dict[str, Any] = field(default_factory=dict)
    portal: asyncpg.Pool | None = None

    def reads(self, who: Identity) -> Reads:
        """Where the caller's queries read. For a caller of one customer only that customer's rows exist there."""
        if who.customer_id is None:
            everything: Reads = self.pool
            return everything
        assert self.portal is not None, "only a process that serves reads for callers"
        return OfCustomer(self.portal, who.customer_id)


def running_of(request: Request) -> Running:
    """The process that answers a request."""
    running: Running = request.app.state.running
    return running


def cause_of(request: Request, identity: Identity) -> Cause:
    """The cause of a request's events: its id, who asked, and its own trace (not the trace of its batch)."""
    return Cause(
        correlation=logs.request_id.get() or None,
        actor=identity.actor,
        acting_for=identity.acting_for,
        traceparent=telemetry.traceparent(),
    )


@dataclass(frozen=True, slots=True)
class Job:
    """Work that a process repeats: at once if it did something or was woken, else after `every_seconds`.

    `alone`: never in two processes at the same time.
    """

    name: str
    every_seconds: float
    run: Callable[[Running], Awaitable[bool]]
    first_after_seconds: float = 0
    alone: bool = False


Resources = Callable[[Any], AbstractAsyncContextManager[dict[str, Any]]]


@asynccontextmanager
async def nothing_more(_settings: Any) -> AsyncIterator[dict[str, Any]]:
    yield {}


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    settings: type[ServiceSettings]
    router: APIRouter | None = None
    handlers: Sequence[Handlers] = ()
    jobs: Sequence[Job] = ()
    queues: Queues = field(default_factory=Queues)
    resources: Resources = nothing_more
    checks: Mapping[str, str] = field(default_factory=dict)
    larger_bodies: Mapping[str, int] = field(default_factory=dict)  # bytes by method and path template; streamed
    kept_routes: Sequence[str] = ()  # whose Idempotency-Keys are never forgotten
    sequence_of: str = ""  # SQL: a row with the sequence of what this service owns, by its id ($1)
    sequence_of_customers: str = ""  # the same of what is a customer's ($2), for that customer's own keys
    version: str = "1"

    def main(self) -> None:
        arguments = _parser(self.name).parse_args()
        settings = self.settings()
        logs.configure(settings.log_level)
        if arguments.command in ("dead-letters", "tasks"):
            do = _dead_letters if arguments.command == "dead-letters" else _tasks
            sys.exit(asyncio.run(do(settings, arguments)))
        else:
            self._run(settings, serve=arguments.command != "work", work=arguments.command != "serve")

    def _run(self, settings: ServiceSettings, *, serve: bool, work: bool) -> None:
        telemetry.setup(self.name, settings.otlp_endpoint)
        app = self.app(settings, serve=serve, work=work)
        collect_seldom()
        server = uvicorn.Server(
            uvicorn.Config(
                app, host=settings.host, port=settings.port, loop="uvloop",
                http=BoundedHead, ws="none", log_config=None, access_log=False, timeout_keep_alive=75,
                timeout_graceful_shutdown=2, server_header=False, date_header=False, backlog=512,
            )
        )  # fmt: skip
        server.run()

    def app(self, settings: ServiceSettings, *, serve: bool = True, work: bool = True) -> FastAPI:
        """The process as an ASGI application: its lifespan starts and ends consumers, relay and jobs.

        It answers from the start, and is ready once it consumes, too.
        """
        ready: dict[str, bool] = {"started": False} | ({"consuming": False} if work and self.handlers else {})

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            async with self._running(settings, app, ready, serve=serve, work=work):
                ready["started"] = True
                yield
                ready["started"] = False

        async def is_ready() -> dict[str, bool]:
            return ready

        return create_app(
            title=self.name,
            version=self.version,
            routers=[self.router] if serve and self.router else [],
            audience=self.name,
            public_keys=settings.public_keys,
            lifespan=lifespan,
            ready=is_ready,
            limits=Limits(self.larger_bodies),
            sequences=sequences(self.sequence_of, self.sequence_of_customers)
            if self.handlers or self.sequence_of
            else None,
        )

    @asynccontextmanager
    async def _running(
        self, settings: ServiceSettings, app: FastAPI, ready: dict[str, bool], *, serve: bool, work: bool
    ) -> AsyncIterator[None]:
        clock = Clock(settings.time_zone, settings.clock_file)
        async with AsyncExitStack() as stack:
            more = await stack.enter_async_context(self.resources(settings))
            bell: Bell | None = None
            if work:
                pool = await open_pool(settings.work_url, size=settings.pool_size, application=f"{self.name}-work")
                stack.push_async_callback(_close, pool)
                bell = Bell(pool, works=True)
                running = Running(settings, clock, pool, Units(pool, clock, bell), more)
                await stack.enter_async_context(self._working(running, bell, ready))
            if serve:
                pool = await open_pool(settings.api_url, size=settings.pool_size, application=f"{self.name}-api")
                stack.push_async_callback(_close, pool)
                units = Units(pool, clock, bell or Bell(pool))
                if work:  # a request wakes the jobs of its own process
                    units.woken = running.units.woken
                portal = await open_portal(settings.api_url, size=settings.pool_size, application=f"{self.name}-portal")
                stack.push_async_callback(_close, portal)
                app.state.running = Running(settings, clock, pool, units, more, portal)
                app.state.pool = pool
            yield

    @asynccontextmanager
    async def _working(self, running: Running, bell: Bell, ready: dict[str, bool]) -> AsyncIterator[None]:
        """Consumers, relay and jobs; on leaving the batch is finished, offsets are committed and the outbox flushed.

        A stop lasts ten seconds at most: requests 2, batch and offsets 3.5, broker 1.5, relay and jobs 2, pools 1.
        """
        settings = running.settings
        kafka = settings.kafka_client()
        relay = Relay(settings.work_url, kafka, f"paidup/{self.name}", bell)
        relaying = _watched(asyncio.create_task(relay.run()), partial(ready.__setitem__, "relay"))
        consumers = [Consumer(handlers, running.units) for handlers in self.handlers]
        for consumer in consumers:
            consumer.acts_from = await running.pool.fetchval(ACTS_FROM, consumer.name, running.clock.now())
        look = Job("check", checks.EVERY_SECONDS, self._look, first_after_seconds=60)  # whole tables: not at a restart
        repeated = [
            Job("prune", 3600, partial(_prune, kept_routes=self.kept_routes)),
            look,
            *self.jobs,
            *(_retrying(consumer) for consumer in consumers),
            *([Job("measure-tasks", MEASURE_SECONDS, self._measure)] if self.queues.by_name else []),
        ]
        running_on: dict[str, Coroutine[Any, Any, None]] = {
            f"job {job.name}": _repeat(job, running) for job in repeated
        }
        for name, queue in self.queues.by_name.items():
            running_on[f"tasks {name}"] = Worker(queue, running).run()
        running_on["listening"] = listen(settings.work_url, bell, running.units.woken)
        tasks = [
            _watched(asyncio.create_task(each), partial(ready.__setitem__, name)) for name, each in running_on.items()
        ]
        try:
            if not consumers:
                yield
                return
            joined = partial(ready.__setitem__, "consuming")
            async with joining(kafka, self.name, consumers, settings.batch_size, joined):
                yield
        finally:
            relay.stop()
            for task in tasks:
                task.cancel()
            await asyncio.wait([relaying, *tasks], timeout=2)
            relaying.cancel()

    async def _measure(self, running: Running) -> bool:
        await measure(running.pool, running.clock.now(), list(self.queues.by_name))
        return False

    async def _look(self, running: Running) -> bool:
        await checks.look(running.pool, checks.EVERYWHERE | dict(self.checks))
        return False


def _watched(task: asyncio.Task[None], goes_on: Callable[[bool], None]) -> asyncio.Task[None]:
    """Watch a task that should never end: if it ends, /readyz shows it."""
    task.add_done_callback(lambda _: goes_on(False))
    return task


async def _close(pool: asyncpg.Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), 0.5)
    except TimeoutError:
        pool.terminate()


def _retrying(consumer: Consumer) -> Job:
    return Job(dead_letters.retry_job(consumer.name), 0.5, lambda _: retry_due(consumer))


async def _prune(running: Running, kept_routes: Sequence[str] = ()) -> bool:
    """Delete ids of commands, and answers under Idempotency-Keys, after 30 days. True if there may be more."""
    before = running.clock.now() - timedelta(days=30)
    gone = [await running.pool.execute(PRUNE_COMMANDS, before, PORTION)]
    for row in await running.pool.fetch(ROUTES):
        if row["route"] not in kept_routes:
            gone.append(await running.pool.execute(PRUNE_KEYS, row["route"], before, PORTION))
    return f"DELETE {PORTION}" in gone


IDLE_SECONDS = 4.0


async def _repeat(job: Job, running: Running) -> None:
    """While a job finds nothing and nobody wakes it, it looks more and more seldom, every four seconds at last."""
    woken, pause = running.units.woken[job.name], job.every_seconds
    await asyncio.sleep(job.first_after_seconds)
    while True:
        if woken.is_set():
            pause = job.every_seconds
        woken.clear()
        some = False
        try:
            some = await (_alone(job, running) if job.alone else job.run(running))
        except Exception as error:
            with contextlib.suppress(Exception):  # to log must not end the job
                log.warning("job failed, it runs again", job=job.name, error=repr(error))
        if some:
            pause = job.every_seconds
            continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):  # `wait_for` may swallow a cancellation
                await woken.wait()
        pause = max(job.every_seconds, min(IDLE_SECONDS, 2 * pause))


async def _alone(job: Job, running: Running) -> bool:
    """Run a job unless another process does so now."""
    async with running.pool.acquire() as connection:
        if not await connection.fetchval(TRY_ALONE, JOB_ALONE, job.name):
            return False
        try:
            return await job.run(running)
        finally:
            await connection.execute(NO_LONGER_ALONE, JOB_ALONE, job.name)


async def _dead_letters(settings: ServiceSettings, arguments: argparse.Namespace) -> str | None:
    """Carry out a `dead-letters` command. Returns what went wrong, in a sentence, else None."""
    connection = await asyncpg.connect(settings.work_url)
    try:
        answer: Any
        if arguments.action == "list":
            answer = {"items": await dead_letters.listing(connection)}
        elif arguments.action == "replay":
            answer = {"replaying": await dead_letters.replay(connection, arguments.id)}
        else:
            await dead_letters.skip(connection, arguments.id, arguments.reason)
            answer = {"skipped": True}
    except dead_letters.RefusedError as error:
        return str(error)
    finally:
        await connection.close()
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    return None


async def _tasks(settings: ServiceSettings, arguments: argparse.Namespace) -> str | None:
    """List tasks that were set aside, or decide on one; what goes wrong, in a sentence, else None."""
    connection = await asyncpg.connect(settings.work_url)
    try:
        if arguments.action == "list":
            answer: Any = {"items": await tasks.listing(connection)}
        else:
            decide = tasks.retry if arguments.action == "retry" else tasks.drop
            if not await decide(connection, arguments.queue, arguments.id):
                return (
                    f"No task {arguments.id!r} of {arguments.queue!r} is set aside: `tasks list` shows those that are."
                )
            answer = {arguments.action: arguments.id}
    finally:
        await connection.close()
    sys.stdout.write(json.dumps(answer, default=str) + "\n")
    return None


def _letter_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r} is no letter's id: `dead-letters list` shows them, as 7")
    return int(text)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {name}")
    commands = parser.add_subparsers(dest="command")
    for command in ("serve", "work"):
        commands.add_parser(command)
    choices = commands.add_parser("tasks").add_subparsers(dest="action", required=True)
    choices.add_parser("list", help="tasks that failed too often, with their errors")
    for action, says in (("retry", "try a task again"), ("drop", "give a task up")):
        choice = choices.add_parser(action, help=says)
        choice.add_argument("queue")
        choice.add_argument("id")
    actions = commands.add_parser("dead-letters").add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="what waits for a person or a retry, with its id and its error")
    replaying = actions.add_parser("replay", help="try again now, in order")
    replaying.add_argument(
        "id", type=_letter_id, nargs="?", help="a letter, with all of its key; all keys when left out"
    )
    skipping = actions.add_parser("skip", help="give one letter up; what waits behind it goes on")
    skipping.add_argument(
        "id", type=_letter_id, help="the first letter that waits of its key, or one that can't be read"
    )
    skipping.add_argument("--reason", required=True, help="why, for those who ask later; it is kept with the letter")
    return parser


MEASURE_SECONDS = 15
TRY_ALONE = "SELECT pg_try_advisory_lock($1::int, hashtext($2))"
NO_LONGER_ALONE = "SELECT pg_advisory_unlock($1::int, hashtext($2))"
PORTION = 1000
PRUNE_COMMANDS = """
DELETE FROM seen_commands WHERE (id, source, consumer) IN (
    SELECT id, source, consumer FROM seen_commands WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)
"""
ROUTES = """
WITH RECURSIVE known AS (
    SELECT min(route) AS route FROM idempotency_keys
    UNION ALL SELECT (SELECT min(route) FROM idempotency_keys k WHERE k.route > known.route) FROM known
    WHERE route IS NOT NULL)
SELECT route FROM known WHERE route IS NOT NULL
"""
PRUNE_KEYS = """
DELETE FROM idempotency_keys WHERE (customer, route, key) IN (
    SELECT customer, route, key FROM idempotency_keys WHERE route = $1 AND created_at < $2
    ORDER BY created_at LIMIT $3)
"""
ACTS_FROM = """
WITH made AS (INSERT INTO consumers (name, acts_from) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING acts_from)
SELECT acts_from FROM made UNION ALL SELECT acts_from FROM consumers WHERE name = $1 LIMIT 1
"""
