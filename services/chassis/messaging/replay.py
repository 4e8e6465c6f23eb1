"""Replays parked keys: their letters in order, each in a savepoint, when the time of the key has come."""

from __future__ import annotations

from dataclasses import replace

import asyncpg
import structlog

from chassis.db.pool import COLLIDED, out_of_reach
from chassis.messaging.consume import Consumer
from chassis.messaging.dead_letters import LETTERS, RETRY_SECONDS, SETTLE, describe, letter_of
from chassis.messaging.records import RacedError, read
from chassis.messaging.work import Work

log = structlog.get_logger()


async def retry_due(consumer: Consumer) -> bool:
    """Replay one parked key whose time has come; whether there was one."""
    parked: asyncpg.Record | None = None
    try:
        async with consumer.units.begin() as work:
            parked = await work.connection.fetchrow(NEXT_DUE, consumer.name)
            if parked is None:
                return False
            failure = await _replay(consumer, work, parked)
    except Exception as error:  # at the commit: nothing was replayed, and the keys behind this one must be reached
        if parked is None or out_of_reach(error):
            raise
        failure = error
    if failure is not None:
        await _put_off(consumer, parked, failure)
    return True


async def _replay(consumer: Consumer, work: Work, parked: asyncpg.Record) -> Exception | None:
    """All letters of a key in order, each in a savepoint; the error of the first that fails again, the rest wait."""
    topic, key = parked["topic"], parked["key"]
    for row in await work.connection.fetch(LETTERS, consumer.name, topic, key):
        letter = letter_of(row)
        try:
            async with work.connection.transaction():
                handled = await consumer.handle([replace(read(letter), key=key)], work, parked=True)
                await _conclude(work)
        except Exception as error:
            if out_of_reach(error):
                raise
            work.emitted.clear()  # its own alone: those of the letters before are written
            return error
        await work.connection.execute(SETTLE, letter.id, "replayed" if handled else "seen", None)
    await work.connection.execute(RELEASE, consumer.name, topic, key)
    return None


async def _conclude(work: Work) -> None:
    """What a commit would do, within the letter's savepoint: a letter fails by itself, and with what it emitted."""
    await work.flush()
    await work.connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    await work.connection.execute("SET CONSTRAINTS ALL DEFERRED")  # none of ours begins as immediate


async def _put_off(consumer: Consumer, parked: asyncpg.Record, error: Exception) -> None:
    """Count a failure in a transaction of its own, unless somebody has asked for another try meanwhile."""
    topic, key, attempts = parked["topic"], parked["key"], parked["attempts"]
    wait: float | None = 0.1
    if not isinstance(error, (RacedError, *COLLIDED)):  # whoever meets another tries again for free
        attempts += 1
        wait = RETRY_SECONDS[attempts] if attempts < len(RETRY_SECONDS) else None
    due = parked["retry_at"]
    await consumer.units.pool.execute(PUT_OFF, consumer.name, topic, key, attempts, wait, describe(error), due)
    log.error("replay failed", consumer=consumer.name, key=key, attempts=attempts, error=describe(error))


NEXT_DUE = """
SELECT topic, key, attempts, retry_at FROM parked WHERE consumer = $1 AND retry_at <= now()
ORDER BY retry_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
PUT_OFF = """
UPDATE parked SET attempts = $4, retry_at = now() + make_interval(secs => $5), error = $6
WHERE consumer = $1 AND topic = $2 AND key = $3 AND retry_at = $7
"""
RELEASE = "DELETE FROM parked WHERE consumer = $1 AND topic = $2 AND key = $3"
