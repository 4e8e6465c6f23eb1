"""Ways to pay, as the provider keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from chassis.messaging.work import Work
from payments.domain import Method, OpenInvoice
from payments.store.projections import INVOICE, columns_of

METHOD = "id, customer_id, provider_id, kind, funding, brand, last4"
METHOD_WIDTH = 7


async def find_provider_customer(connection: asyncpg.Connection, customer_id: str) -> str | None:
    sql = "SELECT provider_id FROM provider_customers WHERE customer_id = $1"
    found: str | None = await connection.fetchval(sql, customer_id)
    return found


async def keep_provider_customer(connection: asyncpg.Connection, customer_id: str, provider_id: str) -> None:
    sql = "INSERT INTO provider_customers (customer_id, provider_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    await connection.execute(sql, customer_id, provider_id)


async def add_method(work: Work, method: Method) -> None:
    sql = f"INSERT INTO methods ({METHOD}, terms_accepted_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)"  # noqa: S608
    values = (
        method.id,
        method.customer_id,
        method.provider_id,
        method.kind,
        method.funding,
        method.brand,
        method.last4,
    )
    await work.connection.execute(sql, *values, work.now)


async def list_methods(connection: asyncpg.Connection, customer_id: str) -> list[Method]:
    sql = f"SELECT {METHOD} FROM methods WHERE customer_id = $1 ORDER BY created_at LIMIT 100"  # noqa: S608
    return [Method(*row.values()) for row in await connection.fetch(sql, customer_id)]


async def load_wished(
    connection: asyncpg.Connection, method_id: str, customer_id: str, invoice_ids: Sequence[str]
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """The customer's method, and those of the invoices that are known, in one round trip."""
    sql = f"""SELECT {columns_of("m", METHOD)}, {columns_of("i", INVOICE)} FROM methods m
        LEFT JOIN invoices i ON i.id = ANY($3::uuid[]) AND i.customer_id = $2 WHERE m.id = $1 AND m.customer_id = $2"""  # noqa: S608
    return _method_and_invoices(await connection.fetch(sql, method_id, customer_id, invoice_ids))


async def load_payable(
    connection: asyncpg.Connection, method_id: str, customer_id: str, currency: str, limit: int
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """The customer's method, and the oldest of its invoices that can be paid now, in one round trip."""
    sql = f"""SELECT {columns_of("m", METHOD)}, {columns_of("i", INVOICE)} FROM methods m
        LEFT JOIN LATERAL (
            SELECT {INVOICE} FROM invoices WHERE customer_id = m.customer_id AND currency = $3 AND payable_now > 0
            ORDER BY due_on, issued_on, number LIMIT $4
        ) i ON true WHERE m.id = $1 AND m.customer_id = $2"""  # noqa: S608
    return _method_and_invoices(await connection.fetch(sql, method_id, customer_id, currency, limit))


def _method_and_invoices(rows: Sequence[asyncpg.Record]) -> tuple[Method | None, dict[str, OpenInvoice]]:
    method = Method(*tuple(rows[0])[:METHOD_WIDTH]) if rows else None
    invoices = [OpenInvoice(*tuple(row)[METHOD_WIDTH:]) for row in rows if row[METHOD_WIDTH] is not None]
    return method, {invoice.id: invoice for invoice in invoices}
