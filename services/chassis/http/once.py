"""Idempotency-Key on POSTs that move no money: the answer is kept under the key, and given again.

What moves money keeps its answer in the transaction of its effect (`chassis.http.idempotency`). These requests do no
harm when they run twice, so their answer is kept after them; where a process dies between the two, they run again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from fastapi import Request, Response

from chassis.http import idempotency
from chassis.http.idempotency import Key, replay, still_running
from chassis.http.identity import Identity

HEADER = "Idempotency-Key"
RUNNING = 0  # the status of a key whose request has not been answered
PATIENCE_SECONDS, LEASE_SECONDS = 2.0, 60
LONGEST_ANSWER = 262_144

CLAIM = """
INSERT INTO idempotency_keys AS k (customer, route, key, fingerprint, status, body, created_at)
VALUES ($1, $2, $3, $4, 0, '', $5)
ON CONFLICT (customer, route, key) DO UPDATE SET created_at = excluded.created_at
    WHERE k.status = 0 AND k.fingerprint = excluded.fingerprint AND k.created_at < $6
RETURNING key
"""
ANSWERED = """
UPDATE idempotency_keys SET status = $4, body = $5, seen = $6 WHERE customer = $1 AND route = $2 AND key = $3
"""
LET_GO = "DELETE FROM idempotency_keys WHERE customer = $1 AND route = $2 AND key = $3 AND status = 0"


async def once(request: Request, who: Identity, route: str, answer: Callable[[], Awaitable[Response]]) -> Response:
    """The answer of the first request under this key. A refusal is not kept, so the same key may be sent again."""
    key = Key(
        who.key_owner,
        f"POST {route}",
        idempotency.checked(request.headers[HEADER]),
        await _print_of(request),
    )
    pool: asyncpg.Pool = request.app.state.pool
    if not await _claimed(pool, key):
        return await _first_answer(pool, key)
    try:
        response = await answer()
    except BaseException:
        await asyncio.shield(pool.execute(LET_GO, key.customer, key.route, key.key))
        raise
    if len(response.body) > LONGEST_ANSWER:  # too long to keep: sent again, it runs again
        await pool.execute(LET_GO, key.customer, key.route, key.key)
    else:
        seen = response.headers.get("Paidup-Seen")
        await pool.execute(ANSWERED, key.customer, key.route, key.key, response.status_code, bytes(response.body), seen)
    return response


async def _print_of(request: Request) -> bytes:
    """Path, query and body: another one under the same key is another request."""
    where = f"{request.scope['path']}?{request.scope['query_string'].decode('latin-1')}\n"
    return hashlib.sha256(where.encode() + await request.body()).digest()


async def _claimed(pool: asyncpg.Pool, key: Key) -> bool:
    """Whether this request is the first, or the one before it died."""
    now = datetime.now(UTC)  # real time: a lease
    before = now - timedelta(seconds=LEASE_SECONDS)
    arguments: tuple[Any, ...] = (key.customer, key.route, key.key, key.fingerprint, now, before)
    return await pool.fetchval(CLAIM, *arguments) is not None


async def _first_answer(pool: asyncpg.Pool, key: Key) -> Response:
    """Waits up to two seconds for the first answer: 409 after that, 422 if the key belongs to another request."""
    end, pause = time.monotonic() + PATIENCE_SECONDS, 0.02
    while True:
        stored = await idempotency.find(pool, key)
        if stored is not None and (stored["status"] != RUNNING or stored["fingerprint"] != key.fingerprint):
            return replay(stored, key)
        if stored is None or time.monotonic() > end:  # it was refused, or takes longer
            raise still_running()
        await asyncio.sleep(pause)
        pause = min(0.2, pause * 1.5)
