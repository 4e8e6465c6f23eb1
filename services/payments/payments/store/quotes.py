"""Previews of payments, each to be confirmed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from chassis.http.idempotency import STORED
from chassis.messaging.work import Work
from contracts.money import Money
from payments.domain import Method, OpenInvoice, Quote
from payments.store.methods import METHOD, METHOD_WIDTH
from payments.store.payments import arrays_of, parts_of
from payments.store.projections import INVOICE, columns_of, invoices_of

ADD_QUOTES = """
INSERT INTO quotes (id, customer_id, method_id, currency, amount, surcharge, invoice_ids, amounts, whole, expires_at, created_at)
SELECT id, customer_id, method_id, currency, amount, surcharge, ids::uuid[], amounts::bigint[], whole::boolean[], expires_at, $11
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[],
    $10::timestamptz[])
    AS q (id, customer_id, method_id, currency, amount, surcharge, ids, amounts, whole, expires_at)
"""


async def add_quotes(quotes: Sequence[Quote], work: Work) -> Sequence[None]:
    await work.connection.execute(
        ADD_QUOTES,
        [q.id for q in quotes], [q.customer_id for q in quotes], [q.method_id for q in quotes],
        [q.amount.currency for q in quotes], [q.amount.minor for q in quotes], [q.surcharge.minor for q in quotes],
        *arrays_of([q.parts for q in quotes]), ["{" + ",".join(map(str, q.whole)) + "}" for q in quotes],
        [q.expires_at for q in quotes], work.now,
    )  # fmt: skip
    return [None] * len(quotes)


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
