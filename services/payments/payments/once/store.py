"""Answers under Idempotency-Keys, of requests that keep them after their effect. A state of 0: it is being carried out."""

from __future__ import annotations

from datetime import datetime

import asyncpg

from chassis.http.idempotency import Key

# By real time: who died while it carried a request out holds its key for a minute.
BEGIN = """
INSERT INTO idempotency_keys AS k (customer, route, key, fingerprint, status, body, created_at)
VALUES ($1, $2, $3, $4, 0, '', now())
ON CONFLICT (customer, route, key) DO UPDATE SET created_at = now()
    WHERE k.status = 0 AND k.fingerprint = excluded.fingerprint AND k.created_at < now() - interval '1 minute'
RETURNING true
"""


async def begin(connection: asyncpg.Connection, key: Key) -> bool:
    """Whether this is the one that carries the request out."""
    return bool(await connection.fetchval(BEGIN, key.customer, key.route, key.key, key.fingerprint))


async def keep(connection: asyncpg.Connection, key: Key, status: int, body: bytes, seen: str, now: datetime) -> None:
    sql = """UPDATE idempotency_keys SET status = $4, body = $5, seen = $6, created_at = $7
        WHERE customer = $1 AND route = $2 AND key = $3"""
    await connection.execute(sql, key.customer, key.route, key.key, status, body, seen, now)


async def forget(connection: asyncpg.Connection, key: Key) -> None:
    sql = "DELETE FROM idempotency_keys WHERE customer = $1 AND route = $2 AND key = $3 AND status = 0"
    await connection.execute(sql, key.customer, key.route, key.key)
