"""Previews of payments, each to be confirmed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from chassis.http.idempotency import STORED
from chassis.messaging.work import Work
from contracts.money import Money
from payments.domain import Method, OpenInvoice, Quote
from payments.store.methods import METHOD, METHOD_WIDTH
from payments.store.payments import parts_of
from payments.store.projections import INVOICE, columns_of, invoices_of


async def add_quote(work: Work, quote: Quote) -> None:
    await work.connection.execute(
        """INSERT INTO quotes (id, customer_id, method_id, currency, amount, surcharge, invoice_ids, amounts, whole,
            expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        quote.id, quote.customer_id, quote.method_id, quote.amount.currency, quote.amount.minor, quote.surcharge.minor,
        [part.invoice_id for part in quote.parts], [part.amount.minor for part in quote.parts], list(quote.whole),
        quote.expires_at, work.now,
    )  # fmt: skip


QUOTE = "id, customer_id, method_id, currency, amount, surcharge, invoice_ids, amounts, whole, expires_at, payment_id"
QUOTE_WIDTH = 11
STORED_WIDTH = 4


@dataclass(frozen=True, slots=True)
class Confirming:
    """What the confirmation of a quote looks at; `stored` is the answer under its Idempotency-Key."""

    quote: Quote
    stored: Mapping[str, Any] | None
    method: Method
    invoices: dict[str, OpenInvoice]


async def load_confirming(
    connection: asyncpg.Connection, quote_id: str, only: str | None, route: str, key: str
) -> Confirming | None:
    """All of it in one round trip, when the quote is the identity's to confirm."""
    sql = f"""SELECT {columns_of("q", QUOTE)}, {columns_of("k", STORED)}, {columns_of("m", METHOD)}, {columns_of("i", INVOICE)} FROM quotes q
        JOIN methods m ON m.id = q.method_id AND m.customer_id = q.customer_id
        LEFT JOIN idempotency_keys k ON k.customer = q.customer_id::text AND k.route = $3 AND k.key = $4
        LEFT JOIN invoices i ON i.id = ANY(q.invoice_ids)
        WHERE q.id = $1 AND ($2::uuid IS NULL OR q.customer_id = $2)"""  # noqa: S608
    rows = await connection.fetch(sql, quote_id, only, route, key)
    if not rows:
        return None
    values = tuple(rows[0])
    q = dict(zip(QUOTE.split(", "), values, strict=False))
    currency = q["currency"]
    quote = Quote(
        q["id"], q["customer_id"], q["method_id"], Money(q["amount"], currency), Money(q["surcharge"], currency),
        parts_of(q["invoice_ids"], q["amounts"], currency), tuple(q["whole"]), q["expires_at"], q["payment_id"],
    )  # fmt: skip
    after_key = QUOTE_WIDTH + STORED_WIDTH
    stored = dict(zip(STORED.split(", "), values[QUOTE_WIDTH:after_key], strict=True))  # an invoice has a status too
    method = Method(*values[after_key : after_key + METHOD_WIDTH])
    return Confirming(
        quote, stored if stored["fingerprint"] else None, method, invoices_of(rows, after_key + METHOD_WIDTH)
    )
