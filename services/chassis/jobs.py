"""What a work process does again and again, beside its consumers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from chassis.db.locks import JOB_ALONE
from chassis.running import Running

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """Work that a process repeats: at once if it did something or was woken, else after `every_seconds`.

    `alone`: never in two processes at the same time. `next_due`: the seconds until something is due, None if nothing
    waits. A job that has it sleeps until then. Whoever makes something due earlier wakes it. Many wakes within
    `every_seconds` are one look.
    """

    name: str
    every_seconds: float
    run: Callable[[Running[Any]], Awaitable[bool]]
    first_after_seconds: float = 0
    alone: bool = False
    next_due: Callable[[Running[Any]], Awaitable[float | None]] | None = None


IDLE_SECONDS = 4.0
LONGEST_SLEEP = 5.0  # the clock of business time may be moved
NOTHING_WAITS = 60.0  # a wake from another process may be lost


async def repeat(job: Job, running: Running[Any]) -> None:
    """While a job finds nothing and nobody wakes it, it looks more and more seldom, every four seconds at last.

    A job with `next_due` looks when that instant has come.
    """
    woken, pause = running.units.woken[job.name], job.every_seconds
    await asyncio.sleep(job.first_after_seconds)
    while True:
        if woken.is_set():
            pause = job.every_seconds
        woken.clear()
        some = False
        try:
            some = await (alone(job, running) if job.alone else job.run(running))
            if job.next_due is not None and not some:
                pause = max(job.every_seconds, _sleep(await job.next_due(running)))
        except Exception as error:
            with contextlib.suppress(Exception):  # to log must not end the job
                log.warning("job failed, it runs again", job=job.name, error=repr(error))
        if some:
            pause = job.every_seconds
            continue
        deaf = job.every_seconds if job.next_due is not None else 0
        await asyncio.sleep(deaf)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause - deaf):  # `wait_for` may swallow a cancellation
                await woken.wait()
        pause = max(job.every_seconds, min(IDLE_SECONDS, 2 * pause))


def _sleep(seconds: float | None) -> float:
    return NOTHING_WAITS if seconds is None else min(LONGEST_SLEEP, seconds)


async def alone(job: Job, running: Running[Any]) -> bool:
    """Run a job unless another process does so now."""
    async with running.pool.acquire() as connection:
        if not await connection.fetchval(TRY_ALONE, JOB_ALONE, job.name):
            return False
        try:
            return await job.run(running)
        finally:
            await connection.execute(NO_LONGER_ALONE, JOB_ALONE, job.name)


async def prune(running: Running[Any], kept_routes: Sequence[str] = ()) -> bool:
    """Delete ids of commands, and answers under Idempotency-Keys, after 30 days. True if there may be more."""
    before = running.clock.now() - timedelta(days=30)
    gone = [await running.pool.execute(PRUNE_COMMANDS, before, PORTION)]
    for row in await running.pool.fetch(ROUTES):
        if row["route"] not in kept_routes:
            gone.append(await running.pool.execute(PRUNE_KEYS, row["route"], before, PORTION))
    return f"DELETE {PORTION}" in gone


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
