"""Paidup-Seen: a request that names what its sender has seen elsewhere waits until this service has it too."""

from __future__ import annotations

import asyncio
import re

import asyncpg
from fastapi import Request

from chassis.http.identity import bearer
from chassis.http.problems import invalid, unavailable

HEADER = "Paidup-Seen"
PATIENCE_SECONDS = 2.0
SEEN = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):([0-9]{1,18})")


def sequences(own: str) -> str:
    """SQL: how far this service is with an aggregate ($1), its own or one that any of its consumers hears of."""
    parts = ["SELECT sequence FROM seen WHERE aggregate = $1::uuid::text", *([own] if own else [])]
    return f"SELECT coalesce(max(sequence), 0) FROM ({' UNION ALL '.join(parts)}) AS known"  # noqa: S608 - own SQL


async def caught_up(request: Request) -> None:
    """Return at once without the header, or in a service that hears of nothing; a 422 or 503 problem else."""
    sent = request.headers.get(HEADER)
    if sent is None:
        return
    read = SEEN.fullmatch(sent)
    if read is None:
        raise invalid([{"field": HEADER, "message": "send it as it was answered, as <id>:<sequence>"}])
    sql: str | None = request.app.state.sequences
    if sql is None:
        return
    request.app.state.verifier.verify(bearer(request))  # a stranger is not waited for
    pool: asyncpg.Pool = request.app.state.pool
    end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while await pool.fetchval(sql, read[1]) < int(read[2]):
        if asyncio.get_running_loop().time() > end:
            detail = "What you saw elsewhere has not arrived here yet. Send the request again in a second."
            raise unavailable(detail, slug="not-yet-here")
        await asyncio.sleep(0.02)
