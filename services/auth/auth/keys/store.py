"""Every SQL statement of auth."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from auth.keys.domain import ApiKey
from chassis.messaging.work import Work

COLUMNS = "id, name, prefix, hash, scopes, customer_id, made_by, created_at, expires_at, revoked_at, sequence"


def _key(row: Any) -> ApiKey:
    return ApiKey(**{**row, "hash": bytes(row["hash"]), "scopes": tuple(row["scopes"])})


INSERT = f"INSERT INTO api_keys ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"  # noqa: S608


async def insert_key(work: Work, key: ApiKey) -> None:
    await work.connection.execute(
        INSERT, key.id, key.name, key.prefix, key.hash, list(key.scopes), key.customer_id, key.made_by,
        key.created_at, key.expires_at, key.revoked_at, key.sequence,
    )  # fmt: skip


LOCK = f"SELECT {COLUMNS} FROM api_keys WHERE id = $1 AND ($2::uuid IS NULL OR customer_id = $2) FOR UPDATE"  # noqa: S608


async def lock_key(work: Work, key_id: str, customer_id: str | None) -> ApiKey | None:
    """The key, if it is one that the caller sees (`customer_id` None sees all)."""
    row = await work.connection.fetchrow(LOCK, key_id, customer_id)
    return _key(row) if row else None


async def hold_maker(work: Work, key_id: str) -> ApiKey | None:
    """The key that makes another: until the end of the transaction it can't be revoked."""
    row = await work.connection.fetchrow(f"SELECT {COLUMNS} FROM api_keys WHERE id = $1 FOR SHARE", key_id)  # noqa: S608
    return _key(row) if row else None


MADE_BY = f"SELECT {COLUMNS} FROM api_keys WHERE made_by = ANY($1) AND revoked_at IS NULL ORDER BY id FOR UPDATE"  # noqa: S608


async def lock_made_by(work: Work, makers: Sequence[str]) -> list[ApiKey]:
    """The living keys that these made themselves."""
    return [_key(row) for row in await work.connection.fetch(MADE_BY, makers)]


async def save_revocation(work: Work, key: ApiKey) -> None:
    await work.connection.execute(
        "UPDATE api_keys SET revoked_at = $2, sequence = $3, ended = 1 WHERE id = $1",
        key.id,
        key.revoked_at,
        key.sequence,
    )


LIVING = """
SELECT count(*) FROM api_keys
WHERE customer_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
"""


async def living_keys(work: Work, customer_id: str) -> int:
    count: int = await work.connection.fetchval(LIVING, customer_id, work.now)
    return count


FIND = f"SELECT {COLUMNS} FROM api_keys WHERE hash = $1"  # noqa: S608


async def find_key(pool: asyncpg.Pool, digest: bytes) -> ApiKey | None:
    row = await pool.fetchrow(FIND, digest)
    return _key(row) if row else None


PAGE = f"""
SELECT {COLUMNS} FROM api_keys
WHERE ($1::uuid IS NULL OR customer_id = $1) AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""  # noqa: S608


async def page_of_keys(pool: asyncpg.Pool, customer_id: str | None, before: str | None, limit: int) -> list[ApiKey]:
    """Newest first; ids are in order of time."""
    return [_key(row) for row in await pool.fetch(PAGE, customer_id, before, limit)]


MAKERS = """
SELECT id, coalesce(name, email) AS name FROM people WHERE id = ANY($1::uuid[]) AND kind = 'staff'
UNION ALL SELECT id, name FROM api_keys WHERE id = ANY($1::uuid[])
"""


async def names_of_makers(pool: asyncpg.Pool, ids: Sequence[str]) -> dict[str, str | None]:
    return {row["id"]: row["name"] for row in await pool.fetch(MAKERS, list(ids))}
