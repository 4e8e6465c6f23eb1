"""Customers, and the lock on everything of a customer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from contracts.invoicing import CreateCustomer

ADD_CUSTOMER = """
INSERT INTO customers (id, external_id, name, email, address, account_manager, metadata, sequence, created_at)
SELECT $1, $2, $3, $4, $5, $6, $7, 1, $8
WHERE NOT EXISTS (SELECT FROM customers WHERE external_id <> normal_form(external_id) AND normal_form(external_id) = $2)
ON CONFLICT (external_id) DO NOTHING RETURNING id
"""
CUSTOMER = "id, external_id, name, email, address, account_manager, metadata, created_at"
CALLED = "(external_id = ANY({0}) OR external_id <> normal_form(external_id) AND normal_form(external_id) = ANY({0}))"
SEARCHED = "lower(external_id || ' ' || name || ' ' || coalesce(email, ''))"


@dataclass(frozen=True, slots=True)
class Customers:
    """What a list of customers asks for. `only`: the identity's own; `after`: the last external id of the page before."""

    external_ids: Sequence[str] | None = None
    q: str | None = None
    only: str | None = None
    after: str | None = None
    limit: int = 100


async def add_customer(work: Work, customer_id: str, asked: CreateCustomer) -> bool:
    """Insert a customer; False if the external id is taken."""
    values = (asked.external_id, asked.name, asked.email, asked.address, asked.account_manager)
    metadata = orjson.dumps(asked.metadata or {}).decode()
    return await work.connection.fetchval(ADD_CUSTOMER, customer_id, *values, metadata, work.now) is not None


async def list_customers(connection: Reads, asked: Customers) -> list[dict[str, Any]]:
    """Customers by external id; one more than `limit`, to show whether a next page exists."""
    arguments: list[Any] = []

    def bind(value: Any, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    where = ["true"]
    if asked.external_ids is not None:
        where.append(CALLED.format(bind(asked.external_ids, "text[]")))
    if asked.q:
        found = f"SELECT id FROM customers WHERE {SEARCHED} LIKE {bind(contains(asked.q), 'text')} OFFSET 0"  # noqa: S608
        where.append(f"id IN ({found})")  # apart, or all would be read in the order of their external ids
    if asked.only:
        where.append(f"id = {bind(asked.only, 'uuid')}")
    if asked.after is not None:
        where.append(f"external_id > {bind(asked.after, 'text')}")
    sql = f"""SELECT {CUSTOMER} FROM customers WHERE {" AND ".join(where)}
        ORDER BY external_id LIMIT {bind(asked.limit + 1, "int")}"""  # noqa: S608 - own constants
    return [_customer(row) for row in await connection.fetch(sql, *arguments)]


def contains(text: str) -> str:
    """The pattern of LIKE for what holds a text, whatever its case."""
    plain = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"


async def load_customer(connection: Reads, customer_id: str) -> dict[str, Any] | None:
    row = await connection.fetchrow(f"SELECT {CUSTOMER} FROM customers WHERE id = $1", customer_id)  # noqa: S608
    return _customer(row) if row else None


def _customer(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "metadata": orjson.loads(row["metadata"])}


async def lock_customer(work: Work, customer_id: str) -> tuple[dict[str, Any], int] | None:
    """A customer with the sequence of its newest event, locked."""
    sql = f"SELECT {CUSTOMER}, sequence FROM customers WHERE id = $1 FOR NO KEY UPDATE"  # noqa: S608
    row = await work.connection.fetchrow(sql, customer_id)
    if row is None:
        return None
    customer = _customer(row)
    return customer, customer.pop("sequence")


CHANGE_CUSTOMER = """
UPDATE customers SET name = $2, email = $3, address = $4, account_manager = $5, metadata = $6, sequence = $7 WHERE id = $1
"""


async def change_customer(work: Work, customer: Mapping[str, Any], sequence: int) -> None:
    """Write a locked customer as it is now; `sequence`: of its newest event."""
    values = [customer[name] for name in ("id", "name", "email", "address", "account_manager")]
    metadata = orjson.dumps(customer["metadata"]).decode()
    await work.connection.execute(CHANGE_CUSTOMER, *values, metadata, sequence)


async def resolve_customers(
    connection: Reads, ids: Sequence[str], external_ids: Sequence[str]
) -> tuple[set[str], dict[str, str]]:
    """The ids that are known, and ids by external id in its normal form. What is unknown is absent.

    One customer's external id may be written as another's id.
    """
    sql = f"""SELECT id, external_id, normal_form(external_id) AS called FROM customers
        WHERE id = ANY($1::uuid[]) OR {CALLED.format("$2::text[]")}"""  # noqa: S608 - own constants
    rows = await connection.fetch(sql, ids, external_ids)
    called = {row["called"]: row["id"] for row in rows} | {row["external_id"]: row["id"] for row in rows}
    return {row["id"] for row in rows}, called


async def lock_customers(work: Work, ids: Iterable[str]) -> None:
    """Lock the rows of customers, sorted, so that two transactions never wait for each other."""
    sql = "SELECT FROM customers WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE"
    await work.connection.execute(sql, sorted(set(ids)))
