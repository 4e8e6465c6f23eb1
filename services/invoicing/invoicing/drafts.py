"""Drafts: they have no events, so they can be edited and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import asyncpg
import orjson
from pydantic import ValidationError

from chassis.messaging.work import Work
from contracts import words
from contracts.invoicing import IssueInvoice
from contracts.refusals import Refusal
from invoicing import issuing, store
from invoicing.domain import Invoice

ASKED = ("number", "currency", "issued_on", "due_on", "po_number", "terms", "notes", "metadata")
OF_LINE = ("description", "quantity", "unit_price_minor", "tax_rate")


async def change(row: Mapping[str, Any], wanted: Mapping[str, Any], work: Work) -> None:
    """Change some fields of a locked draft. `Refusal` if it is no draft, or the new fields are not allowed."""
    invoice = store.invoice_of(row)
    if set(wanted) == {"metadata"}:
        await store.change_metadata(work, invoice.id, wanted["metadata"] or {})
        return
    _only_drafts(invoice, "edited")
    made = issuing.make(_asked(row, wanted), invoice.customer_id)
    if isinstance(made, Refusal):
        raise made
    try:
        async with work.connection.transaction():
            await store.change_draft(work, replace(made.invoice, id=invoice.id), made.document, made.fingerprint)
    except asyncpg.UniqueViolationError:
        detail = f"invoice {made.invoice.number} exists already"
        raise Refusal("number-taken", detail, "number", conflict=True, values={"number": made.invoice.number}) from None


async def delete(invoice: Invoice, work: Work) -> None:
    """Remove a locked draft; `Refusal` where it is none."""
    _only_drafts(invoice, "deleted")
    await store.delete_draft(work, invoice.id)


def _only_drafts(invoice: Invoice, how: str) -> None:
    if invoice.state != "draft":
        detail = f"invoice {invoice.number} is {invoice.status}; only a draft can be {how}"
        detail += f". POST /v1/invoices/{invoice.id}/void withdraws it"
        raise Refusal("not-a-draft", detail, conflict=True, values={"number": invoice.number, "status": invoice.status})


def _asked(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> IssueInvoice:
    """The request that would make the changed draft."""
    stored = {name: row[name] for name in ASKED} | {"metadata": orjson.loads(row["metadata"])}
    lines = [{name: line[name] for name in OF_LINE} for line in orjson.loads(row["lines"])]
    whole = {"customer_id": row["customer_id"], "lines": lines, "draft": True} | stored | dict(wanted)
    try:
        return IssueInvoice.model_validate(whole)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        field = words.field(fault)
        raise Refusal("invalid-request", f"{field or 'body'}: {words.sentence(fault)}", field or None) from None
