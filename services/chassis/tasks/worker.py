"""Works off the tasks of one queue: claims what is due, runs each by itself, keeps its failure."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
import structlog
from prometheus_client import Counter, Gauge

from chassis.db.pool import COLLIDED, out_of_reach
from chassis.messaging.dead_letters import describe
from chassis.messaging.work import Cause
from chassis.tasks.queue import DONE, Later, Queue, Task, wake_name
from contracts.ids import new_id

if TYPE_CHECKING:
    from chassis.running import Running

log = structlog.get_logger()
ended = Counter("paidup_tasks_total", "Tasks by how their attempt ended", ["queue", "how"])
waiting = Gauge("paidup_tasks_waiting", "Tasks that are not done", ["queue"])
aside = Gauge("paidup_tasks_set_aside", "Tasks that wait for a person", ["queue"])
late = Gauge("paidup_tasks_late_seconds", "How long the oldest task that is due has waited", ["queue"])

LONGEST_SLEEP = 5.0  # other processes enqueue, too; who needs it sooner is woken by NOTIFY
AWAY_SECONDS = 1.0


class Worker:
    """One queue in one process. Replicas share the queue: each task has one of them, until its lease ends."""

    def __init__(self, queue: Queue, running: Running[Any]) -> None:
        self._queue, self._running = queue, running
        self._woken = running.units.woken[wake_name(queue.name)]
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled. What is under way then is left to its lease."""
        try:
            while True:
                self._woken.clear()
                try:
                    sleep = await self._round()
                except Exception as error:
                    sleep = AWAY_SECONDS
                    with contextlib.suppress(Exception):  # to log must not end the worker
                        log.warning("tasks not claimed, trying again", queue=self._queue.name, error=repr(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(sleep):
                        await self._woken.wait()
        finally:
            for task in self._under_way:
                task.cancel()

    async def _round(self) -> float:
        """Begin what is due and has room; the seconds until there may be more."""
        free = self._queue.at_once - len(self._under_way)
        if not free:
            return LONGEST_SLEEP  # the end of a task wakes
        tasks = await self._claim(free)
        for each in tasks:
            task = asyncio.create_task(self._do(each))
            self._under_way.add(task)
            task.add_done_callback(self._ended)
        return 0 if len(tasks) == free else await self._until_next()

    def _ended(self, task: asyncio.Task[None]) -> None:
        full = len(self._under_way) >= self._queue.at_once
        self._under_way.discard(task)
        if full:
            self._woken.set()

    async def _claim(self, most: int) -> list[Task]:
        now, queue = self._running.clock.now(), self._queue
        lease = new_id()
        rows = await self._running.pool.fetch(CLAIM, queue.name, now, most, queue.lease, lease)
        return [
            Task(queue.name, row["id"], orjson.loads(row["body"]), row["attempts"],
                 Cause(**orjson.loads(row["headers"])), lease)
            for row in rows
        ]  # fmt: skip

    async def _until_next(self) -> float:
        seconds = await self._running.pool.fetchval(NEXT, self._queue.name, self._running.clock.now())
        return LONGEST_SLEEP if seconds is None else min(LONGEST_SLEEP, max(0.01, float(seconds)))

    async def _do(self, task: Task) -> None:
        queue = self._queue
        try:
            async with asyncio.timeout(queue.lease.total_seconds() * 0.9):  # nobody else has it while it runs
                await queue.handle(task, self._running)
            await self._record(DONE, task)
            how = "done"
        except Later as wish:
            await self._record(AGAIN, task, wish.after)
            how = "later"
        except Exception as error:
            how = await self._failed(task, error)
        ended.labels(queue.name, how).inc()
        if how != "done":
            self._woken.set()  # it comes again, maybe sooner than the worker meant to look

    async def _failed(self, task: Task, error: Exception) -> str:
        if out_of_reach(error) or isinstance(error, COLLIDED):
            log.warning("a task is put off", queue=task.queue, task=task.id, error=repr(error))
            await self._record(AGAIN, task, timedelta(seconds=AWAY_SECONDS))
            return "put off"
        said, pause = describe(error), self._queue.pause(task.attempt)
        log.error("a task failed", queue=task.queue, task=task.id, attempt=task.attempt, error=said)
        if pause is None:
            await self._record(SET_ASIDE, task, said)
            return "set aside"
        await self._record(FAILED, task, pause, said)
        return "failed"

    async def _record(self, sql: str, task: Task, *more: object) -> None:
        """Where the database is away, the lease stands in: the task comes again."""
        try:
            await self._running.pool.execute(sql, task.queue, task.id, task.lease, *more)
        except Exception as error:
            log.warning("the end of a task is not kept, the task comes again", task=task.id, error=repr(error))


async def measure(pool: asyncpg.Pool, now: datetime, queues: list[str]) -> None:
    """Put the state of each queue on /metrics."""
    found = {row["queue"]: row for row in await pool.fetch(MEASURE, queues, now)}
    for name in queues:
        row = found.get(name)
        waiting.labels(name).set(row["waiting"] if row else 0)
        aside.labels(name).set(row["aside"] if row else 0)
        late.labels(name).set(float(row["late"] or 0) if row else 0)


CLAIM = """
UPDATE tasks t SET free_at = now() + $4, attempts = t.attempts + 1, lease = $5
FROM (SELECT queue, id FROM tasks WHERE queue = $1 AND due_at <= $2 AND free_at <= now() AND set_aside_at IS NULL
      ORDER BY due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) AS due
WHERE t.queue = due.queue AND t.id = due.id RETURNING t.id, t.body, t.attempts, t.headers
"""
NEXT = """
SELECT min(greatest(extract(epoch FROM due_at - $2), extract(epoch FROM free_at - now()))) FROM (
    SELECT due_at, free_at FROM tasks WHERE queue = $1 AND set_aside_at IS NULL ORDER BY due_at LIMIT 100) AS soon
"""
AGAIN = """
UPDATE tasks SET free_at = now() + $4, attempts = attempts - 1, lease = NULL
WHERE queue = $1 AND id = $2 AND lease = $3
"""
FAILED = "UPDATE tasks SET free_at = now() + $4, error = $5, lease = NULL WHERE queue = $1 AND id = $2 AND lease = $3"
SET_ASIDE = """
UPDATE tasks SET set_aside_at = now(), error = $4, lease = NULL WHERE queue = $1 AND id = $2 AND lease = $3
"""
MEASURE = """
SELECT queue, count(*) AS waiting, count(*) FILTER (WHERE set_aside_at IS NOT NULL) AS aside,
    extract(epoch FROM max($2 - due_at) FILTER (WHERE set_aside_at IS NULL AND due_at <= $2)) AS late
FROM tasks WHERE queue = ANY($1) GROUP BY queue
"""
