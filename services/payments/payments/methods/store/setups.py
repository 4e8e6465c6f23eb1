"""Setups: visits to the provider's own page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from chassis.db.reads import Reads
from chassis.messaging.work import Work


@dataclass(frozen=True, slots=True)
class Setup:
    """A visit to the provider's page; it has a `method_id` when it led to a method."""

    id: str
    customer_id: str
    provider_id: str | None
    url: str | None
    saved: bool
    state: str
    reason: str | None
    method_id: str | None


SETUP = "id, customer_id, provider_id, url, saved, state, reason, method_id"


def _setup_of(row: Mapping[str, Any]) -> Setup:
    return Setup(*(row[name.strip()] for name in SETUP.split(",")))


async def begin_setup(
    work: Work, setup_id: str, customer_id: str, return_url: str, kinds: Sequence[str], *, saved: bool
) -> None:
    sql = """INSERT INTO method_setups (id, customer_id, return_url, kinds, saved, state, created_at)
        VALUES ($1, $2, $3, $4, $5, 'begun', $6)"""
    await work.connection.execute(sql, setup_id, customer_id, return_url, kinds, saved, work.now)


async def open_setup(connection: asyncpg.Connection, setup_id: str, provider_id: str, url: str) -> None:
    """Save the page of a setup."""
    sql = """UPDATE method_setups SET provider_id = $2, url = $3, state = 'open'
        WHERE id = $1 AND state = 'begun'"""
    await connection.execute(sql, setup_id, provider_id, url)


async def load_setup(connection: Reads, setup_id: str, only: str | None) -> Setup | None:
    sql = f"SELECT {SETUP} FROM method_setups WHERE id = $1 AND ($2::uuid IS NULL OR customer_id = $2)"  # noqa: S608
    row = await connection.fetchrow(sql, setup_id, only)
    return _setup_of(row) if row else None


async def find_setup(connection: Reads, provider_id: str) -> Setup | None:
    row = await connection.fetchrow(f"SELECT {SETUP} FROM method_setups WHERE provider_id = $1", provider_id)  # noqa: S608
    return _setup_of(row) if row else None


async def lock_setup(work: Work, setup_id: str) -> Setup | None:
    row = await work.connection.fetchrow(f"SELECT {SETUP} FROM method_setups WHERE id = $1 FOR UPDATE", setup_id)  # noqa: S608
    return _setup_of(row) if row else None


async def end_setup(
    work: Work, setup_id: str, state: str, *, reason: str | None = None, method_id: str | None = None
) -> None:
    """End a setup as `complete`, `failed` or `expired`: the provider is not asked any more."""
    sql = "UPDATE method_setups SET state = $2, reason = $3, method_id = $4 WHERE id = $1"
    await work.connection.execute(sql, setup_id, state, reason, method_id)
