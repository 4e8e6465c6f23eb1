"""A service, put together: `python -m NAME [serve | work | dead-letters …]`; serve and work by default."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg
import structlog
import uvicorn
from fastapi import APIRouter, FastAPI

from chassis import checks, logs, telemetry
from chassis.clock import Clock
from chassis.commands import decide_letters, decide_tasks, parser_of
from chassis.db.pool import open_pool
from chassis.db.reads import open_portal
from chassis.http.app import create_app
from chassis.http.limits import Limits
from chassis.http.protocol import BoundedHead
from chassis.http.seen import sequences
from chassis.jobs import Job, prune, repeat
from chassis.memory import collect_seldom
from chassis.messaging import dead_letters
from chassis.messaging.consume import Consumer
from chassis.messaging.handlers import Handlers
from chassis.messaging.outbox import Relay
from chassis.messaging.replay import retry_due
from chassis.messaging.subscribe import joining
from chassis.messaging.wake import Bell, listen
from chassis.messaging.work import Units
from chassis.running import Running
from chassis.settings import ServiceSettings
from chassis.tasks.queue import Queues
from chassis.tasks.worker import Worker, measure
from contracts.services import SERVICES

log = structlog.get_logger()


Resources = Callable[[Any], AbstractAsyncContextManager[Any]]
Beside = Callable[[Running[Any]], Coroutine[Any, Any, None]]


@asynccontextmanager
async def nothing_more(_settings: Any) -> AsyncIterator[None]:
    yield None


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    settings: type[ServiceSettings]
    router: APIRouter | None = None
    handlers: Sequence[Handlers] = ()
    jobs: Sequence[Job] = ()
    queues: Queues = field(default_factory=Queues)
    beside: Mapping[str, Beside] = field(default_factory=dict)  # by name, what runs as long as the process works
    resources: Resources = nothing_more
    checks: Mapping[str, str] = field(default_factory=dict)
    kept_routes: Sequence[str] = ()  # whose Idempotency-Keys are never forgotten
    sequence_of: str = ""  # SQL: a row with the sequence of what this service owns, by its id ($1)
    sequence_of_customers: str = ""  # the same of what is a customer's ($2), for that customer's own keys
    version: str = "1"

    def main(self) -> None:
        arguments = parser_of(self.name).parse_args()
        settings = self.settings()
        logs.configure(settings.log_level)
        if arguments.command in ("dead-letters", "tasks"):
            do = decide_letters if arguments.command == "dead-letters" else decide_tasks
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
            limits=Limits(next((one.larger for one in SERVICES if one.name == self.name), {})),
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
            own = await stack.enter_async_context(self.resources(settings))
            bell: Bell | None = None
            if work:
                pool = await open_pool(settings.work_url, size=settings.pool_size, application=f"{self.name}-work")
                stack.push_async_callback(_close, pool)
                bell = Bell(pool, works=True)
                running = Running(settings, clock, pool, Units(pool, clock, bell, own), own)
                await stack.enter_async_context(self._working(running, bell, ready))
            if serve:
                pool = await open_pool(settings.api_url, size=settings.pool_size, application=f"{self.name}-api")
                stack.push_async_callback(_close, pool)
                units = Units(pool, clock, bell or Bell(pool), own)
                if work:  # a request wakes the jobs of its own process
                    units.woken = running.units.woken
                portal = await open_portal(settings.api_url, size=settings.pool_size, application=f"{self.name}-portal")
                stack.push_async_callback(_close, portal)
                app.state.running = Running(settings, clock, pool, units, own, portal)
                app.state.pool = pool
            yield

    @asynccontextmanager
    async def _working(self, running: Running[Any], bell: Bell, ready: dict[str, bool]) -> AsyncIterator[None]:
        """Consumers, relay and jobs; on leaving the batch is finished, offsets are committed and the outbox flushed.

        A stop lasts ten seconds at most: requests 2, batch and offsets 3.5, broker 1.5, relay and jobs 2, pools 1.
        """
        settings = running.settings
        kafka = settings.kafka_client()
        # Who says nothing has no right to write at Kafka: there is nothing to relay.
        says = next((bool(one.says) for one in SERVICES if one.name == self.name), True)
        relay = Relay(settings.work_url, kafka, f"paidup/{self.name}", bell) if says else None
        relaying = (
            [_watched(asyncio.create_task(relay.run()), partial(ready.__setitem__, "relay"))]
            if relay is not None
            else []
        )
        consumers = [Consumer(handlers, running.units) for handlers in self.handlers]
        for consumer in consumers:
            consumer.acts_from = await running.pool.fetchval(ACTS_FROM, consumer.name, running.clock.now())
        look = Job("check", checks.EVERY_SECONDS, self._look, first_after_seconds=60)  # whole tables: not at a restart
        repeated = [
            Job("prune", 3600, partial(prune, kept_routes=self.kept_routes)),
            look,
            *self.jobs,
            *(_retrying(consumer) for consumer in consumers),
            *([Job("measure-tasks", MEASURE_SECONDS, self._measure)] if self.queues.by_name else []),
        ]
        running_on: dict[str, Coroutine[Any, Any, None]] = {f"job {job.name}": repeat(job, running) for job in repeated}
        for name, queue in self.queues.by_name.items():
            running_on[f"tasks {name}"] = Worker(queue, running).run()
        running_on |= {name: run(running) for name, run in self.beside.items()}
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
            if relay is not None:
                relay.stop()
            for task in tasks:
                task.cancel()
            await asyncio.wait([*relaying, *tasks], timeout=2)
            for task in relaying:
                task.cancel()

    async def _measure(self, running: Running[Any]) -> bool:
        await measure(running.pool, running.clock.now(), list(self.queues.by_name))
        return False

    async def _look(self, running: Running[Any]) -> bool:
        await checks.look(running.pool, checks.EVERYWHERE | dict(self.checks))
        return False


def _watched(task: asyncio.Task[None], goes_on: Callable[[bool], None]) -> asyncio.Task[None]:
    """Watch a task that should never end: if it ends, /readyz shows it."""
    task.add_done_callback(lambda _: goes_on(False))
    return task


def _retrying(consumer: Consumer) -> Job:
    return Job(dead_letters.retry_job(consumer.name), 0.5, lambda _: retry_due(consumer))


async def _close(pool: asyncpg.Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), 0.5)
    except TimeoutError:
        pool.terminate()


MEASURE_SECONDS = 15
ACTS_FROM = """
WITH made AS (INSERT INTO consumers (name, acts_from) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING acts_from)
SELECT acts_from FROM made UNION ALL SELECT acts_from FROM consumers WHERE name = $1 LIMIT 1
"""
