"""The provider's events: which ones were taken, and how far the list was read."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg


async def events_known(connection: asyncpg.Connection, ids: Sequence[str]) -> set[str]:
    """Return which of the provider's events were taken before."""
    rows = await connection.fetch("SELECT id FROM provider_events WHERE id = ANY($1::text[])", ids)
    return {row["id"] for row in rows}


async def load_cursor(connection: asyncpg.Connection) -> str | None:
    found: str | None = await connection.fetchval("SELECT cursor FROM provider_cursor")
    return found


async def save_cursor(connection: asyncpg.Connection, cursor: str) -> None:
    sql = "INSERT INTO provider_cursor (cursor) VALUES ($1) ON CONFLICT (one) DO UPDATE SET cursor = excluded.cursor"
    await connection.execute(sql, cursor)
