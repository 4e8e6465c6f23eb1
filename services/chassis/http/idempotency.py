"""Idempotency-Key: one effect and one stored answer per (customer, route, key), in the effect's own transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
import orjson
from fastapi import Header, Response

from chassis.http.problems import Problem
from chassis.messaging.work import Work

LONGEST_KEY = 255
RETRY_AFTER = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class Key:
    """A client's key for one request; the fingerprint shows that a body under the same key is another one."""

    customer: str
    route: str
    key: str
    fingerprint: bytes


async def required_key(idempotency_key: Annotated[str | None, Header(max_length=255)] = None) -> str:
    """The header; a problem if it is missing. A coroutine, because FastAPI runs plain functions in a thread."""
    return checked(idempotency_key)


def checked(idempotency_key: str | None) -> str:
    """A key that can be kept, or a 400 problem."""
    if not idempotency_key or not idempotency_key.isprintable() or len(idempotency_key) > LONGEST_KEY:
        raise Problem(
            status=400,
            slug="idempotency-key-missing",
            title="Idempotency-Key is missing",
            detail="Send an Idempotency-Key header of 1 to 255 printable characters: a new one for each new request, "
            "the same one when a request is sent again.",
        )
    return idempotency_key


def fingerprint(body: dict[str, Any]) -> bytes:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS, default=str)).digest()


def replay(stored: Mapping[str, Any], key: Key) -> Response:
    """The stored answer again; 422 when the key came with another body."""
    if stored["fingerprint"] != key.fingerprint:
        raise reused()
    return Response(
        bytes(stored["body"]),
        status_code=stored["status"],
        media_type="application/json",
        headers={"Idempotent-Replayed": "true", **({"Paidup-Seen": stored["seen"]} if stored["seen"] else {})},
    )


def reused() -> Problem:
    return Problem(
        status=422,
        slug="idempotency-key-reused",
        title="Idempotency-Key was used for another request",
        detail="This key belongs to a request with another body. Use a new key for a new request.",
    )


def still_running() -> Problem:
    return Problem(
        status=409,
        slug="request-in-progress",
        title="The first request with this key is still running",
        detail="Send the same request again in a second.",
        headers=RETRY_AFTER,
    )


STORED = "fingerprint, status, body, seen"
FIND_KEY = f"SELECT {STORED} FROM idempotency_keys WHERE customer = $1 AND route = $2 AND key = $3"  # noqa: S608


async def find(connection: asyncpg.Connection, key: Key) -> asyncpg.Record | None:
    return await connection.fetchrow(FIND_KEY, key.customer, key.route, key.key)


KEEP_ANSWER = """
INSERT INTO idempotency_keys (customer, route, key, fingerprint, status, body, seen, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def keep(work: Work, key: Key, status: int, body: bytes, seen: str) -> None:
    """Store the answer in the effect's transaction; UniqueViolationError when the key got one at the same time."""
    values = (key.customer, key.route, key.key, key.fingerprint, status, body, seen, work.now)
    await work.connection.execute(KEEP_ANSWER, *values)
