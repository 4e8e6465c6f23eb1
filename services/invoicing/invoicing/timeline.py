"""Why an invoice is as it is, and what comes next, in words for people. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from invoicing.domain import Invoice

WORDS = {
    "InvoiceIssued": "The invoice was issued.",
    "InvoiceInProgress": "A payment of all that was left is under way.",
    "InvoicePaid": "The invoice is paid.",
    "InvoiceReopened": "Money went back: the invoice is owed again.",
    "InvoiceVoided": "The invoice was withdrawn.",
    "InvoiceWrittenOff": "The invoice is held to be uncollectible.",
}


def told(event: str, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """One line of a timeline; a change is told by what it changed since the event before."""
    if event != "InvoiceChanged" or before is None:
        return WORDS.get(event, "The invoice changed.")
    settled, pending = (_moved(name, body, before) for name in ("settled", "pending"))
    if settled > 0:
        return "A part was paid."
    if settled < 0:
        return "Money of a part that was paid went back."
    if pending > 0:
        return "A payment of a part is under way."
    return "A payment that was under way ended without money." if pending < 0 else "The invoice changed."


def _moved(name: str, body: Mapping[str, Any], before: Mapping[str, Any]) -> int:
    return int(body[name]["amount_minor"]) - int(before[name]["amount_minor"])


def next_step(invoice: Invoice, under_way: Sequence[Mapping[str, Any]], today: date) -> str | None:
    """What the invoice waits for; None when it waits for nothing."""
    if under_way:
        awaited = max((each["expected_by"] for each in under_way if each["expected_by"]), default=None)
        if awaited is not None and awaited >= today:
            return f"The payment under way is confirmed by {awaited}; until then the same money can't be paid twice."
        past = f", which was expected by {awaited}" if awaited else ""
        return f"It waits for the payment under way{past}. Until that is confirmed, the same money can't be paid twice."
    if invoice.state == "draft":
        return "It is issued."
    if invoice.state != "open":
        return None
    if invoice.overdue(today):
        late = (today - invoice.due_on).days
        return f"It waits to be paid: it was due on {invoice.due_on}, {late} day{'s' if late > 1 else ''} ago."
    return f"It waits to be paid, by {invoice.due_on}."
