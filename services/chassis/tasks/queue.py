"""Tasks: outward calls and later jobs, one row each, written in the transaction that makes them needed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson

from chassis.messaging.work import Cause, Work

if TYPE_CHECKING:
    from chassis.running import Running

PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 5, 25, 120, 600))


@dataclass(frozen=True, slots=True)
class Task:
    """One call or job. `id` is unique in its queue; `attempt` counts from 1; `body` is what the maker wrote."""

    queue: str
    id: str
    body: Mapping[str, Any]
    attempt: int
    cause: Cause
    lease: str = ""


class Later(Exception):
    """Raised by a handler: the task is not done. It comes again, which counts as no failure."""

    def __init__(self, after: timedelta) -> None:
        super().__init__(f"again in {after.total_seconds():.0f} s")
        self.after = after


Handle = Callable[[Task, "Running[Any]"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Queue:
    """How a kind of task is done.

    `at_once`: so many at a time in a process. `lease`: when a process that took a task is taken for dead.
    `pauses`: how long a task waits after each failure; after one failure more, the task is set aside for a person.
    """

    name: str
    handle: Handle
    at_once: int = 8
    lease: timedelta = timedelta(seconds=60)
    pauses: tuple[timedelta, ...] = PAUSES

    def pause(self, attempt: int) -> timedelta | None:
        """How long to wait after this failed attempt; None when it was the last one."""
        return self.pauses[attempt - 1] if attempt <= len(self.pauses) else None


@dataclass(slots=True)
class Queues:
    """The queues of a service by name."""

    by_name: dict[str, Queue] = field(default_factory=dict)

    def on(
        self, name: str, *, at_once: int = 8, lease_seconds: float = 60, pauses: tuple[timedelta, ...] = PAUSES
    ) -> Callable[[Handle], Handle]:
        """Have a function do the tasks of a queue. It may run again after a crash, so it must bear repeating."""

        def register(handle: Handle) -> Handle:
            self.by_name[name] = Queue(name, handle, at_once, timedelta(seconds=lease_seconds), pauses)
            return handle

        return register


async def enqueue(
    work: Work, queue: str, task_id: str, body: Mapping[str, Any] | None = None, *, due_at: datetime | None = None
) -> bool:
    """Write a task, for the commit of this unit of work; due at once, unless given. False: it is there already."""
    arguments = [queue, task_id, orjson.dumps(body or {}), due_at or work.now, _headers(work.cause)]
    work.wake(wake_name(queue))
    return await work.connection.fetchval(ENQUEUE, *arguments) is not None


async def cancel(work: Work, queue: str, task_id: str) -> bool:
    """Take a task away. False: there is none. One that a process has just begun may still be carried out."""
    return bool(await work.connection.execute(CANCEL, queue, task_id) != "DELETE 0")


async def done(work: Work, task: Task) -> bool:
    """End a task in the transaction that keeps its result. False: another process has taken the task meanwhile."""
    return bool(await work.connection.execute(DONE, task.queue, task.id, task.lease) != "DELETE 0")


async def hasten(work: Work, queue: str, task_id: str) -> None:
    """Have a task that waits after `Later` or a failure come at once; nothing happens if there is none."""
    await work.connection.execute(HASTEN, queue, task_id)
    work.wake(wake_name(queue))


async def listing(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """Tasks that were set aside, for a person; no bodies, they may hold personal data."""
    return [dict(row) for row in await connection.fetch(LISTED)]


async def retry(connection: asyncpg.Connection, queue: str, task_id: str) -> bool:
    """Have a task that was set aside tried again, as if new. False: there is none."""
    return bool(await connection.execute(RETRY, queue, task_id) != "UPDATE 0")


async def drop(connection: asyncpg.Connection, queue: str, task_id: str) -> bool:
    """Give up a task that was set aside. False: there is none."""
    return bool(await connection.execute(DROP, queue, task_id) != "DELETE 0")


def wake_name(queue: str) -> str:
    """The name by which a unit of work wakes the workers of a queue."""
    return f"tasks {queue}"


def _headers(cause: Cause) -> str:
    return orjson.dumps({name: value for name, value in asdict(cause).items() if value}).decode()


ENQUEUE = """
INSERT INTO tasks (queue, id, body, due_at, headers) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING id
"""
CANCEL = "DELETE FROM tasks WHERE queue = $1 AND id = $2"
DONE = "DELETE FROM tasks WHERE queue = $1 AND id = $2 AND lease = $3"
HASTEN = """
UPDATE tasks SET free_at = '-infinity' WHERE queue = $1 AND id = $2 AND lease IS NULL AND set_aside_at IS NULL
"""
LISTED = """
SELECT queue, id, attempts, error, set_aside_at FROM tasks WHERE set_aside_at IS NOT NULL
ORDER BY queue, id LIMIT 1000
"""
RETRY = """
UPDATE tasks SET set_aside_at = NULL, attempts = 0, free_at = '-infinity', lease = NULL
WHERE queue = $1 AND id = $2 AND set_aside_at IS NOT NULL
"""
DROP = "DELETE FROM tasks WHERE queue = $1 AND id = $2 AND set_aside_at IS NOT NULL"
