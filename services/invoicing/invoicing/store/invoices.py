"""Invoices with their documents: added, read, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from chassis.db.reads import Reads
from chassis.messaging.work import Work
from invoicing.domain import Invoice, line_totals

INVOICE = "id, customer_id, number, currency, state, issued_on, due_on, total, credited, settled, pending, sequence, reopened_on, in_dispute, resting, held_until"


# By when all that payments under way hold of an invoice `i` is to be confirmed.
EXPECTED_BY = """CASE WHEN i.pending > 0 THEN (
    SELECT max(r.expected_by) FROM reservations r
    WHERE r.customer_id = i.customer_id AND r.state = 'placed' AND i.id = ANY(r.invoice_ids)
) END AS expected_by"""


def invoice_of(row: Mapping[str, Any]) -> Invoice:
    return Invoice(*(row[name] for name in INVOICE.split(", ")))


@dataclass(frozen=True, slots=True)
class Document:
    """The texts and lines of an invoice beside its amounts."""

    lines: list[dict[str, Any]]
    taxes: list[dict[str, Any]]
    po_number: str | None
    terms: str | None
    notes: str | None
    metadata: dict[str, str]

    @property
    def line_totals(self) -> tuple[int, ...]:
        return totals_of_lines(self.lines, self.taxes)

    @property
    def search(self) -> str:
        return " ".join([self.po_number or "", *(line["description"] for line in self.lines)]).lower()


def totals_of_lines(lines: Sequence[dict[str, Any]], taxes: Sequence[dict[str, Any]]) -> tuple[int, ...]:
    """What each line of a document comes to with its share of the tax, in minor units."""
    nets = [(Decimal(line["tax_rate"]), line["net_minor"]) for line in lines]
    return line_totals(nets, {Decimal(tax["tax_rate"]): tax["tax_minor"] for tax in taxes})


ADD_INVOICES = """
WITH added AS (
    INSERT INTO invoices (id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint,
        po_number, search, created_at)
    SELECT id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint, po_number, search, $17
    FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::date[], $7::date[], $8::bigint[],
        $9::bigint[], $10::bytea[], $11::text[], $12::text[])
        AS i (id, customer_id, number, currency, state, issued_on, due_on, total, sequence, fingerprint, po_number, search)
    WHERE NOT EXISTS (SELECT FROM invoices old WHERE old.number <> normal_form(old.number) AND normal_form(old.number) = i.number)
    ON CONFLICT (number) DO NOTHING RETURNING id
), documented AS (
    INSERT INTO invoice_documents (invoice_id, lines, taxes, terms, notes, metadata)
    SELECT d.* FROM unnest($1::uuid[], $13::jsonb[], $14::jsonb[], $15::text[], $16::text[], $18::jsonb[])
        AS d (id, l, t, te, n, m)
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
        [orjson.dumps(d.metadata).decode() for d in documents],
    )  # fmt: skip
    return {row["id"] for row in rows}


CALLED = "(number = ANY({0}) OR number <> normal_form(number) AND normal_form(number) = ANY({0}))"


async def find_numbers(work: Work, numbers: Sequence[str]) -> dict[str, tuple[Invoice, bytes]]:
    """Invoices and fingerprints by number in its normal form."""
    sql = f"""SELECT {INVOICE}, fingerprint, normal_form(number) AS called FROM invoices
        WHERE {CALLED.format("$1::text[]")} ORDER BY number = normal_form(number)"""  # noqa: S608 - own constants
    rows = await work.connection.fetch(sql, numbers)
    return {row["called"]: (invoice_of(row), bytes(row["fingerprint"])) for row in rows}


async def load_invoice(
    connection: Reads, invoice_id: str, only: str | None, *, lock: bool = False
) -> dict[str, Any] | None:
    """One invoice with its document; None if the identity may not see it."""
    sql = f"""SELECT {INVOICE}, po_number, created_at, lines, taxes, terms, notes, metadata, {EXPECTED_BY}
        FROM invoices i JOIN invoice_documents ON invoice_id = id
        WHERE id = $1 AND ($2::uuid IS NULL OR (customer_id = $2 AND state <> 'draft')){" FOR UPDATE" if lock else ""}"""  # noqa: S608
    row = await connection.fetchrow(sql, invoice_id, only)
    return dict(row) if row else None


async def load_documents(connection: Reads, invoice_ids: Sequence[str]) -> dict[str, Document]:
    """Of each invoice, its lines and taxes; the texts are left out."""
    sql = "SELECT invoice_id, lines, taxes FROM invoice_documents WHERE invoice_id = ANY($1::uuid[])"
    rows = await connection.fetch(sql, invoice_ids) if invoice_ids else []
    return {
        row["invoice_id"]: Document(orjson.loads(row["lines"]), orjson.loads(row["taxes"]), None, None, None, {})
        for row in rows
    }


CHANGE_DRAFT = """
WITH changed AS (
    UPDATE invoices SET number = $2, currency = $3, issued_on = $4, due_on = $5, total = $6, po_number = $7, search = $8,
        fingerprint = $9
    WHERE id = $1 AND state = 'draft'
)
UPDATE invoice_documents SET lines = $10, taxes = $11, terms = $12, notes = $13, metadata = $14 WHERE invoice_id = $1
"""


async def change_draft(work: Work, invoice: Invoice, document: Document, print_of: bytes) -> None:
    """Overwrite a locked draft; UniqueViolationError if its number is taken."""
    await work.connection.execute(
        CHANGE_DRAFT, invoice.id, invoice.number, invoice.currency, invoice.issued_on, invoice.due_on, invoice.total,
        document.po_number, document.search, print_of, orjson.dumps(document.lines).decode(),
        orjson.dumps(document.taxes).decode(), document.terms, document.notes, orjson.dumps(document.metadata).decode(),
    )  # fmt: skip


async def change_metadata(work: Work, invoice_id: str, metadata: Mapping[str, str]) -> None:
    sql = "UPDATE invoice_documents SET metadata = $2 WHERE invoice_id = $1"
    await work.connection.execute(sql, invoice_id, orjson.dumps(metadata).decode())


async def delete_draft(work: Work, invoice_id: str) -> None:
    """Delete a locked draft. It has no events, so nothing has to be taken back."""
    await work.connection.execute("DELETE FROM invoice_documents WHERE invoice_id = $1", invoice_id)
    await work.connection.execute("DELETE FROM invoices WHERE id = $1 AND state = 'draft'", invoice_id)
