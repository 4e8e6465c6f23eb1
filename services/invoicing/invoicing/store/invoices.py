"""Invoices with their documents: added, read, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import asyncpg
import orjson

from chassis.messaging.work import Work
from invoicing.domain import Invoice

INVOICE = "id, customer_id, number, currency, state, issued_on, due_on, total, credited, settled, pending, sequence, reopened_on"


def invoice_of(row: Mapping[str, Any]) -> Invoice:
    return Invoice(*(row[name] for name in INVOICE.split(", ")))


@dataclass(frozen=True, slots=True)
class Document:
    """What an invoice says beside its amounts."""

    lines: list[dict[str, Any]]
    taxes: list[dict[str, Any]]
    po_number: str | None
    terms: str | None
    notes: str | None

    @property
    def search(self) -> str:
        return " ".join([self.po_number or "", *(line["description"] for line in self.lines)]).lower()[:500]


ADD_INVOICES = """
WITH added AS (
    INSERT INTO invoices (id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint,
        po_number, search, created_at)
    SELECT id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint, po_number, search, $17
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::bigint[],
        $9::bigint[], $10::bytea[], $11::text[], $12::text[])
        AS i (id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint, po_number, search)
    ON CONFLICT (number) DO NOTHING RETURNING id
), documented AS (
    INSERT INTO invoice_documents (invoice_id, lines, taxes, terms, notes)
    SELECT d.* FROM unnest($1::uuid[], $13::jsonb[], $14::jsonb[], $15::text[], $16::text[]) AS d (id, l, t, te, n)
    JOIN added USING (id)
)
SELECT id FROM added
"""


async def add_invoices(work: Work, new: Sequence[tuple[Invoice, Document, bytes]]) -> set[str]:
    """Insert invoices with their documents and fingerprints; the ids of those whose number was free."""
    invoices = [invoice for invoice, _, _ in new]
    documents = [document for _, document, _ in new]
    rows = await work.connection.fetch(
        ADD_INVOICES,
        [i.id for i in invoices], [i.customer_id for i in invoices], [i.number for i in invoices],
        [i.currency for i in invoices], [i.state for i in invoices], [i.issued_on for i in invoices],
        [i.due_on for i in invoices], [i.total for i in invoices], [i.sequence for i in invoices],
        [fingerprint for _, _, fingerprint in new],
        [d.po_number for d in documents], [d.search for d in documents],
        [orjson.dumps(d.lines).decode() for d in documents], [orjson.dumps(d.taxes).decode() for d in documents],
        [d.terms for d in documents], [d.notes for d in documents], work.now,
    )  # fmt: skip
    return {row["id"] for row in rows}


async def find_numbers(work: Work, numbers: Sequence[str]) -> dict[str, tuple[Invoice, bytes]]:
    """Invoices and fingerprints by number."""
    sql = f"SELECT {INVOICE}, fingerprint FROM invoices WHERE number = ANY($1::text[])"  # noqa: S608
    rows = await work.connection.fetch(sql, numbers)
    return {row["number"]: (invoice_of(row), bytes(row["fingerprint"])) for row in rows}


async def load_invoice(connection: asyncpg.Connection, invoice_id: str, only: str | None) -> dict[str, Any] | None:
    """One invoice with its document, when it is the identity's to see."""
    sql = f"""SELECT {INVOICE}, po_number, created_at, lines, taxes, terms, notes FROM invoices
        JOIN invoice_documents ON invoice_id = id
        WHERE id = $1 AND ($2::uuid IS NULL OR (customer_id = $2 AND state <> 'draft'))"""  # noqa: S608
    row = await connection.fetchrow(sql, invoice_id, only)
    return dict(row) if row else None


TABS = {
    "all": "true",
    "open": "state = 'open' AND total - credited - settled > pending",
    "in_progress": "state = 'open' AND pending > 0 AND total - credited - settled = pending",
    "paid": "state = 'paid'",
}
STATUSES = {"unpaid": "state = 'open'", "overdue": "state = 'open' AND due_on < {today}", "paid": "state = 'paid'"}
SORTS = {"issued_on": "issued_on", "due_on": "due_on", "number": "number"}


@dataclass(frozen=True, slots=True)
class Page:
    """What a list asks for. `sort` is a column with `-` for descending; `after` is the last row's value and id."""

    customer_id: str | None
    tab: str
    status: str | None
    q: str | None
    sort: str
    limit: int
    after: tuple[Any, str] | None
    drafts: bool


async def list_invoices(connection: asyncpg.Connection, page: Page, today: date) -> list[dict[str, Any]]:
    """One more than `limit`, to tell whether a next page exists."""
    arguments: list[Any] = []

    def bind(value: Any, kind: str) -> str:
        arguments.append(value)
        return f"${len(arguments)}::{kind}"

    where = [TABS[page.tab]]
    if not page.drafts:
        where.append("state <> 'draft'")
    if page.customer_id:
        where.append(f"customer_id = {bind(page.customer_id, 'uuid')}")
    if page.status:
        where.append(STATUSES[page.status].format(today=bind(today, "date") if page.status == "overdue" else ""))
    if page.q:
        where.append(_matches(page.q, bind, everywhere=page.customer_id is not None))
    column, way = SORTS[page.sort.lstrip("-")], "DESC" if page.sort.startswith("-") else "ASC"
    if page.after:
        kind = "text" if column == "number" else "date"
        sign = "<" if way == "DESC" else ">"
        where.append(f"({column}, id) {sign} ({bind(page.after[0], kind)}, {bind(page.after[1], 'uuid')})")
    sql = f"""SELECT {INVOICE}, po_number FROM invoices WHERE {" AND ".join(where)}
        ORDER BY {column} {way}, id {way} LIMIT {bind(page.limit + 1, "int")}"""  # noqa: S608
    return [dict(row) for row in await connection.fetch(sql, *arguments)]


LAST_CHARACTER = "\U0010ffff"


def _matches(q: str, bind: Any, *, everywhere: bool) -> str:
    """Number, PO, amount and text of a customer's invoices; over all customers, numbers that begin so."""
    pattern = q.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if not everywhere:
        # As a range, since a plan for any pattern can't know that this one has a beginning.
        return f"number ~>=~ {bind(q, 'text')} AND number ~<~ {bind(q + LAST_CHARACTER, 'text')}"
    like = bind(f"%{pattern.lower()}%", "text")
    digits = q.replace(".", "").replace(",", "")
    amount = (
        f" OR total = {bind(int(digits), 'bigint')}"
        if digits.isascii() and digits.isdigit() and len(digits) < 16
        else ""
    )
    return f"(lower(number) LIKE {like} OR search LIKE {like}{amount})"
