"""Quotes. Each can be confirmed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from chassis.db.reads import Reads
from chassis.http.idempotency import STORED
from chassis.messaging.work import Work
from contracts.money import Money
from payments.collecting.domain.quotes import Quote
from payments.collecting.store.payments import arrays_of, parts_of
from payments.methods.domain.consents import Terms
from payments.methods.domain.methods import Method
from payments.methods.store.methods import METHOD, METHOD_WIDTH, method_of
from payments.projections.domain import OpenInvoice
from payments.projections.store import INVOICE
from payments.sql import Rows, columns_of

_NEW = Rows(
    "q", id="uuid", customer_id="uuid", method_id="uuid", currency="text", amount="bigint", surcharge="bigint",
    ids="text", amounts="text", whole="text", expires_at="timestamptz", choice="text", rate="numeric", step="int",
    rule_id="text", cap="bigint", credit_used="bigint", created_at="timestamptz",
)  # fmt: skip
ADD_QUOTES = f"""
INSERT INTO quotes (id, customer_id, method_id, currency, amount, surcharge, invoice_ids, amounts, whole, expires_at, choice,
    rate, step, rule_id, cap, credit_used, created_at)
SELECT id, customer_id, method_id, currency, amount, surcharge, ids::uuid[], amounts::bigint[], whole::boolean[], expires_at,
    choice, rate, step, rule_id, cap, credit_used, created_at
FROM {_NEW.at(1)}
"""  # noqa: S608


async def add_quotes(quotes: Sequence[Quote], work: Work) -> Sequence[None]:
    rows = (
        (
            q.id, q.customer_id, q.method_id, q.amount.currency, q.amount.minor, q.surcharge.minor, *arrays_of(q.parts),
            "{" + ",".join(map(str, q.whole)) + "}", q.expires_at, q.choice, q.terms.rate, q.step, q.terms.rule_id,
            q.terms.cap, q.credit_used, work.now,
        )
        for q in quotes
    )  # fmt: skip
    await work.connection.execute(ADD_QUOTES, *_NEW.arrays(rows))
    return [None] * len(quotes)


@dataclass(frozen=True, slots=True)
class Confirming:
    """All that the confirmation of a quote needs. `stored` is the answer under its Idempotency-Key.

    Without a `method`, credit alone pays.
    """

    quote: Quote
    stored: Mapping[str, Any] | None
    method: Method | None
    invoices: dict[str, OpenInvoice]


# One row, with arrays for the invoices, all in the same order.
def _quoted(more: str, joined: str) -> str:
    return f"""
SELECT {METHOD}, q.id AS quote_id, q.customer_id, q.method_id, q.currency, q.amount, q.surcharge, q.invoice_ids, q.amounts,
    q.whole, q.expires_at, q.payment_id, q.choice, q.rate, q.step, q.rule_id, q.cap, q.credit_used, {more}
    i.ids, i.numbers, i.statuses, i.issues, i.dues, i.payables
FROM quotes q
LEFT JOIN methods m ON m.id = q.method_id AND m.customer_id = q.customer_id
{joined}
CROSS JOIN LATERAL (
    SELECT array_agg(id) AS ids, array_agg(number) AS numbers, array_agg(status) AS statuses, array_agg(issued_on) AS issues,
        array_agg(due_on) AS dues, array_agg(payable_now) AS payables
    FROM invoices WHERE id = ANY(q.invoice_ids)
) i
WHERE q.id = $1 AND ($2::uuid IS NULL OR q.customer_id = $2) AND (m.id IS NULL) = (q.method_id IS NULL)
"""  # noqa: S608


QUOTED = _quoted("", "")
# The same, with the answer that is stored under an Idempotency-Key.
CONFIRMING = _quoted(
    columns_of("k", STORED) + ",",
    "LEFT JOIN idempotency_keys k ON k.customer = q.customer_id::text AND k.route = $3 AND k.key = $4",
)


async def load_confirming(
    connection: Reads, quote_id: str, only: str | None, route: str = "", key: str = ""
) -> Confirming | None:
    """Load it in one round trip, if the identity may confirm the quote. Without a route, no stored answer is read."""
    more = (CONFIRMING, quote_id, only, route, key) if route else (QUOTED, quote_id, only)
    row = await connection.fetchrow(*more)
    if row is None:
        return None
    customer, currency = row["customer_id"], row["currency"]
    quote = Quote(
        row["quote_id"], customer, row["method_id"], Money(row["amount"], currency), Money(row["surcharge"], currency),
        parts_of(row["invoice_ids"], row["amounts"], currency), tuple(row["whole"]), row["expires_at"], row["payment_id"],
        row["choice"], Terms(row["rate"], row["cap"], row["rule_id"]), row["step"],
        row["credit_used"],
    )  # fmt: skip
    found = zip(
        *(row[name] or () for name in ("ids", "numbers", "statuses", "issues", "dues", "payables")), strict=True
    )
    invoices = {
        invoice_id: OpenInvoice(invoice_id, customer, number, status, currency, issued_on, due_on, payable)
        for invoice_id, number, status, issued_on, due_on, payable in found
    }
    method = method_of(tuple(row)) if quote.method_id is not None else None
    return Confirming(quote, row if row.get("fingerprint") is not None else None, method, invoices)


async def load_wished(
    connection: Reads, method_id: str | None, customer_id: str, invoice_ids: Sequence[str]
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """Load the customer's method, and the known ones of the invoices, in one round trip."""
    sql = f"""SELECT {METHOD}, {columns_of("i", INVOICE)} FROM (SELECT) one
        LEFT JOIN methods m ON m.id = $1 AND m.customer_id = $2
        LEFT JOIN invoices i ON i.id = ANY($3::uuid[]) AND i.customer_id = $2"""  # noqa: S608
    return _method_and_invoices(await connection.fetch(sql, method_id, customer_id, invoice_ids))


async def load_payable(
    connection: Reads, method_id: str | None, customer_id: str, currency: str, limit: int
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """Load the customer's method, and its oldest payable invoices, in one round trip."""
    sql = f"""SELECT {METHOD}, {columns_of("i", INVOICE)} FROM (SELECT) one
        LEFT JOIN methods m ON m.id = $1 AND m.customer_id = $2
        LEFT JOIN LATERAL (
            SELECT {INVOICE} FROM invoices WHERE customer_id = $2 AND currency = $3 AND payable_now > 0
            ORDER BY due_on, issued_on, number LIMIT $4
        ) i ON true"""  # noqa: S608
    return _method_and_invoices(await connection.fetch(sql, method_id, customer_id, currency, limit))


def _method_and_invoices(rows: Sequence[asyncpg.Record]) -> tuple[Method | None, dict[str, OpenInvoice]]:
    method = method_of(tuple(rows[0])) if rows[0][0] is not None else None
    invoices = [OpenInvoice(*tuple(row)[METHOD_WIDTH:]) for row in rows if tuple(row)[METHOD_WIDTH] is not None]
    return method, {invoice.id: invoice for invoice in invoices}
