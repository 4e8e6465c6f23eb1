"""What jobs could not do, and when they try it again. By real time, as every lease of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

PUT_OFF = """
INSERT INTO setbacks AS s (job, item, tries, next_at, error, since)
SELECT $1, item, 1, now() + interval '2 seconds', error, now() FROM unnest($2::text[], $3::text[]) AS f (item, error)
ON CONFLICT (job, item) DO UPDATE SET tries = s.tries + 1, error = excluded.error,
    next_at = now() + interval '1 second' * least(2 ^ least(s.tries + 1, 10), 600)
"""


def in_turn(job: str, item: str) -> str:
    """The condition that a job's item, as this SQL names it, was not put off."""
    return (
        f"""NOT EXISTS (SELECT FROM setbacks s WHERE s.job = '{job}' AND s.item = {item}::text AND s.next_at > now())"""
    )


async def put_off(connection: asyncpg.Connection, job: str, errors: Mapping[str, str]) -> None:
    """Keep the error of each item; it comes again after 2, 4, 8 … seconds, at most ten minutes."""
    items = sorted(errors)
    await connection.execute(PUT_OFF, job, items, [errors[item] for item in items])


async def recovered(connection: asyncpg.Connection, job: str, items: Sequence[str]) -> None:
    """These were done: whatever was in their way is gone."""
    await connection.execute("DELETE FROM setbacks WHERE job = $1 AND item = ANY($2::text[])", job, items)


async def due_again(connection: asyncpg.Connection, job: str, limit: int) -> list[str]:
    """Items that failed before and may be tried again now, the one that waits longest first."""
    sql = "SELECT item FROM setbacks WHERE job = $1 AND next_at <= now() ORDER BY next_at LIMIT $2"
    return [row["item"] for row in await connection.fetch(sql, job, limit)]


async def put_off_now(connection: asyncpg.Connection, job: str, items: Sequence[str]) -> set[str]:
    """Those of the items that are not to be tried yet."""
    sql = "SELECT item FROM setbacks WHERE job = $1 AND item = ANY($2::text[]) AND next_at > now()"
    return {row["item"] for row in await connection.fetch(sql, job, items)}
