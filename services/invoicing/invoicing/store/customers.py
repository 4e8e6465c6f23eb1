"""Customers, and the lock on all that is theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from chassis.messaging.work import Work
from contracts.invoicing import CreateCustomer

ADD_CUSTOMER = """
INSERT INTO customers (id, external_id, name, email, address, account_manager, sequence, created_at)
VALUES ($1, $2, $3, $4, $5, $6, 1, $7) ON CONFLICT (external_id) DO NOTHING RETURNING id
"""
CUSTOMER = "id, external_id, name, email, address, account_manager, created_at"


async def add_customer(work: Work, customer_id: str, asked: CreateCustomer) -> bool:
    """False when the external id is taken."""
    values = (asked.external_id, asked.name, asked.email, asked.address, asked.account_manager)
    return await work.connection.fetchval(ADD_CUSTOMER, customer_id, *values, work.now) is not None


async def find_customers(
    connection: asyncpg.Connection, external_id: str | None, only: str | None, limit: int = 100
) -> list[dict[str, Any]]:
    """`only`: the identity's own customer, when it has one."""
    given = {"external_id": external_id, "id": only}
    asked = [(column, value) for column, value in given.items() if value is not None]
    where = "".join(f" AND {column} = ${place}" for place, (column, _) in enumerate(asked, 2))
    sql = f"SELECT {CUSTOMER} FROM customers WHERE true{where} ORDER BY external_id LIMIT $1"  # noqa: S608 - own constants
    return [dict(row) for row in await connection.fetch(sql, limit, *(value for _, value in asked))]


async def load_customer(connection: asyncpg.Connection, customer_id: str) -> dict[str, Any] | None:
    row = await connection.fetchrow(f"SELECT {CUSTOMER} FROM customers WHERE id = $1", customer_id)  # noqa: S608
    return dict(row) if row else None


async def resolve_customers(
    connection: asyncpg.Connection, ids: Sequence[str], external_ids: Sequence[str]
) -> tuple[set[str], dict[str, str]]:
    """The ids that are known, and ids by external id: one may be written as another's id. What is unknown is absent."""
    sql = "SELECT id, external_id FROM customers WHERE id = ANY($1::uuid[]) OR external_id = ANY($2::text[])"
    rows = await connection.fetch(sql, ids, external_ids)
    return {row["id"] for row in rows}, {row["external_id"]: row["id"] for row in rows}


async def lock_customers(work: Work, ids: Iterable[str]) -> None:
    """Whoever changes a customer's invoices holds its row: one lock, sorted, so that two never wait for each other."""
    sql = "SELECT FROM customers WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
    await work.connection.execute(sql, sorted(set(ids)))
