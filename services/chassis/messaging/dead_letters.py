"""Records that failed: kept whole, their key parked, retried after 1, 5 and 25 seconds, then a person decides."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
import structlog

from chassis.messaging.handlers import Answer
from chassis.messaging.records import COMMAND_TOPICS, RacedError, Record
from chassis.messaging.wake import CALL
from chassis.messaging.work import Units, Work
from contracts.envelope import Envelope, read_headers

log = structlog.get_logger()
RETRY_SECONDS = (1, 5, 25)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter read back as the record that it was."""

    id: int
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


async def keep_unreadable(
    units: Units, consumer: str, record: Record, error: str, answer: Answer | None = None
) -> None:
    """A record without a readable envelope belongs to no aggregate: kept for a person, nothing waits behind it.

    `answer`: makes the event by which the sender hears of it, once.
    """
    log.error(
        "record can't be read",
        consumer=consumer,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        error=error,
    )
    async with units.begin() as work:
        kept = await work.connection.execute(KEEP, *_columns(consumer, record, None, None), error, "unreadable")
        if answer is not None and kept == "INSERT 0 1":
            work.emit(answer(record, error, work.now))


def retry_job(consumer: str) -> str:
    """The job that replays what a consumer has parked."""
    return f"retry-{consumer}"


async def park(units: Units, consumer: str, record: Record, envelope: Envelope, key: str, error: Exception) -> None:
    """Set a failed record aside; from now on its key's later records wait behind it."""
    async with units.begin() as work:
        await work.connection.execute(PARK, consumer, record.topic, key, describe(error), RETRY_SECONDS[0])
        await work.connection.execute(KEEP, *_columns(consumer, record, envelope, key), describe(error), "waiting")
        work.wake(retry_job(consumer))


async def follow(work: Work, consumer: str, record: Record, envelope: Envelope, key: str) -> None:
    """Put a record behind its parked key; a key that was released meanwhile makes the batch start again."""
    if await work.connection.fetchval(HOLD, consumer, record.topic, key) is None:
        raise RacedError
    await work.connection.execute(
        KEEP, *_columns(consumer, record, envelope, key), "waits behind a parked record", "waiting"
    )


def describe(error: Exception) -> str:
    """The error as text: at most 1,000 characters, none that a database refuses."""
    try:
        said = str(error)
    except Exception:  # an error that can't be said is set aside like any other
        said = "it has no words"
    text = f"{type(error).__name__}: {said}"[:1000].replace("\x00", "\ufffd")
    return text.encode(errors="replace").decode()


def _columns(consumer: str, record: Record, envelope: Envelope | None, key: str | None) -> tuple[Any, ...]:
    named = [(name.encode(errors="backslashreplace").decode(), value or b"") for name, value in record.headers]
    headers = orjson.dumps([[name, base64.b64encode(value).decode()] for name, value in named]).decode()
    known = (envelope.sequence, envelope.type) if envelope else (None, None)
    return (consumer, record.topic, record.partition, record.offset, key, *known, record.key, record.value, headers)


def letter_of(row: asyncpg.Record) -> Letter:
    """The record that a row of `LETTERS` keeps."""
    headers = [(name, base64.b64decode(value)) for name, value in orjson.loads(row["raw_headers"])]
    return Letter(row["id"], row["topic"], row["partition"], row["offset"], row["raw_key"], row["raw_value"], headers)


async def listing(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    """What waits for a person or a retry, oldest first; no bodies, they may hold personal data."""
    return [dict(row) for row in await connection.fetch(LIST)]


async def replay(connection: asyncpg.Connection, letter: int | None) -> int:
    """Have the work process try again now: the key of one letter, or all keys that wait. Returns how many keys."""
    if letter is not None and (await _waiting(connection, letter))["state"] == "unreadable":
        raise RefusedError(f"Letter {letter} can't be read, so it can only be skipped.")
    return len(await _again(connection, letter))


async def _again(connection: asyncpg.Connection, letter: int | None) -> list[Any]:
    """Make keys due now, and wake whoever replays them."""
    rows: list[Any] = await connection.fetch(AGAIN, letter)
    for consumer in {row["consumer"] for row in rows}:
        await connection.execute(CALL, retry_job(consumer))
    return rows


class RefusedError(Exception):
    """Why a letter can't be replayed or skipped, for a person to read."""


async def skip(connection: asyncpg.Connection, letter: int, reason: str) -> None:
    """Give one letter up and keep the reason. It counts as seen, and the letters behind it go on.

    RefusedError if an older letter of the key waits: its content would be lost unseen.
    """
    async with connection.transaction():
        row = await _waiting(connection, letter)
        if row["state"] == "waiting":
            await connection.execute(HOLD, row["consumer"], row["topic"], row["key"])
            row = await _waiting(connection, letter)  # a replay may just have ended
            first = (await connection.fetch(LETTERS, row["consumer"], row["topic"], row["key"]))[0]["id"]
            if first != letter:
                raise RefusedError(f"Letter {first} waits before letter {letter} of the same key: skip that one first.")
            if row["topic"] in COMMAND_TOPICS:
                envelope = read_headers(letter_of(row).headers, commands=True)
                await connection.execute(SKIP_COMMAND, row["consumer"], envelope.id, envelope.source)
            else:
                await connection.execute(SKIP_SEEN, row["consumer"], row["topic"], row["key"], row["sequence"])
            await _again(connection, letter)
        await connection.execute(SETTLE, letter, "skipped", reason)


async def _waiting(connection: asyncpg.Connection, letter: int) -> asyncpg.Record:
    row = await connection.fetchrow(LETTER, letter)
    if row is None:
        raise RefusedError(f"There is no letter {letter}: `dead-letters list` shows those that there are.")
    if row["state"] not in ("waiting", "unreadable"):
        raise RefusedError(f"Letter {letter} waits no more, it was {row['state']}.")
    return row


KEEP = """
INSERT INTO dead_letters (consumer, topic, partition, "offset", key, sequence, type, raw_key, raw_value, raw_headers,
    error, state, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, now())
ON CONFLICT (consumer, topic, partition, "offset") DO NOTHING
"""
PARK = """
INSERT INTO parked (consumer, topic, key, error, retry_at, parked_at)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), now())
ON CONFLICT (key, topic, consumer) DO NOTHING
"""
HOLD = "SELECT 1 FROM parked WHERE consumer = $1 AND topic = $2 AND key = $3 FOR UPDATE"
LETTERS = """
SELECT id, topic, partition, "offset", raw_key, raw_value, raw_headers FROM dead_letters
WHERE consumer = $1 AND topic = $2 AND key = $3 AND state = 'waiting' ORDER BY sequence, id
"""
SETTLE = "UPDATE dead_letters SET state = $2, reason = $3, settled_at = now() WHERE id = $1"
LIST = """
SELECT d.id, d.consumer, d.topic, d.partition, d."offset", d.key, d.sequence, d.type, d.state,
    CASE WHEN d.state = 'waiting' THEN coalesce(p.error, d.error) ELSE d.error END AS error, d.created_at, p.attempts, p.retry_at
FROM dead_letters d LEFT JOIN parked p ON p.key = d.key AND p.topic = d.topic AND p.consumer = d.consumer
WHERE d.state IN ('waiting', 'unreadable') ORDER BY d.id LIMIT 1000
"""
AGAIN = """
UPDATE parked p SET retry_at = now(), attempts = 0 WHERE $1::bigint IS NULL OR EXISTS (
    SELECT FROM dead_letters d WHERE d.id = $1 AND d.key = p.key AND d.topic = p.topic AND d.consumer = p.consumer)
RETURNING p.key, p.consumer
"""
LETTER = """
SELECT id, consumer, topic, partition, "offset", key, sequence, state, raw_key, raw_value, raw_headers
FROM dead_letters WHERE id = $1
"""
SKIP_COMMAND = """
INSERT INTO seen_commands (consumer, id, source, seen_at) VALUES ($1, $2, $3, now()) ON CONFLICT DO NOTHING
"""
SKIP_SEEN = """
INSERT INTO seen AS s (consumer, topic, aggregate, sequence) VALUES ($1, $2, $3, $4)
ON CONFLICT (aggregate, topic, consumer) DO UPDATE SET sequence = greatest(s.sequence, excluded.sequence)
"""
