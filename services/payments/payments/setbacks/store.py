"""Failed items of jobs, and when they are tried again. In real time, like all leases of jobs."""

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
    """SQL: the job's item, given as an SQL expression, was not put off."""
    return (
        f"""NOT EXISTS (SELECT FROM setbacks s WHERE s.job = '{job}' AND s.item = {item}::text AND s.next_at > now())"""
    )


async def put_off(connection: asyncpg.Connection, job: str, errors: Mapping[str, str]) -> None:
    """Keep the error of each item. It is tried again after 2, 4, 8 … seconds, at most ten minutes."""
    items = sorted(errors)
    await connection.execute(PUT_OFF, job, items, [errors[item] for item in items])


async def recovered(connection: asyncpg.Connection, job: str, items: Sequence[str]) -> None:
    """Delete the errors of items that succeeded."""
    await connection.execute("DELETE FROM setbacks WHERE job = $1 AND item = ANY($2::text[])", job, items)


async def due_again(connection: asyncpg.Connection, job: str, limit: int) -> list[str]:
    """Return failed items that may be tried again now, the longest waiting first."""
    sql = "SELECT item FROM setbacks WHERE job = $1 AND next_at <= now() ORDER BY next_at LIMIT $2"
    return [row["item"] for row in await connection.fetch(sql, job, limit)]


async def put_off_now(connection: asyncpg.Connection, job: str, items: Sequence[str]) -> set[str]:
    """Return which of the items must still wait."""
    sql = "SELECT item FROM setbacks WHERE job = $1 AND item = ANY($2::text[]) AND next_at > now()"
    return {row["item"] for row in await connection.fetch(sql, job, items)}
