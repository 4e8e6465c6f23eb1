"""Reading for one caller: of all customers, or of one under row-level security."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg

from chassis.db.pool import open_pool


class Reads(Protocol):
    """Whatever reads: a connection, a pool, or the rows of one customer."""

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]: ...
    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None: ...
    async def fetchval(self, query: str, *arguments: Any) -> Any: ...


class OfCustomer:
    """Reads as the role `<service>_portal`: rows of other customers are not there, even if a filter is left out.

    Each read sets the customer of its connection first. So no connection ever reads for the customer before.
    """

    def __init__(self, pool: asyncpg.Pool, customer_id: str) -> None:
        self._pool, self._customer_id = pool, customer_id

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self._connection() as connection:
            return list(await connection.fetch(query, *arguments))

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        async with self._connection() as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        async with self._connection() as connection:
            return await connection.fetchval(query, *arguments)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._pool.acquire() as connection:
            await connection.fetchval("SELECT set_config('paidup.customer', $1, false)", self._customer_id)
            yield connection


async def open_portal(api_url: str, *, size: int, application: str) -> asyncpg.Pool:
    """Connections for `OfCustomer`: those of the api role, which acts as the portal role of the same service."""
    role = (urlsplit(api_url).username or "").removesuffix("_api") + "_portal"
    return await open_pool(api_url, size=size, application=application, role=role)
