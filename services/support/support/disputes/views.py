"""Disputes as they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from contracts.crediting import share_credit
from contracts.support import DisputeStatus
from support.disputes.store import lines_of
from support.tickets.store import number_of


class DisputedPart(BaseModel):
    """A line of the invoice."""

    line: Annotated[int, Field(description="The place of the line in the invoice, from 1")]
    amount_minor: Annotated[
        int | None, Field(description="What of it is disputed, in minor units, with tax; null: the whole line")
    ]


class IfAccepted(BaseModel):
    """What accepting would do now, in minor units of the dispute's currency: at most what other credit notes leave.

    `waits`: a payment under way may pay what is disputed, so the credit note is issued when that has ended.
    """

    applied_minor: Annotated[int, Field(description="What the invoice would take")]
    credit_minor: Annotated[int, Field(description="What would become the customer's credit, as it is paid already")]
    waits: Annotated[bool, Field(description="Whether the credit note would wait for a payment under way")]


class NoteOfDispute(BaseModel):
    """The credit note of an accepted dispute."""

    number: Annotated[str, Field(description="The number of the credit note")]
    amount_minor: Annotated[int, Field(description="What was credited, in minor units")]
    applied_minor: Annotated[int, Field(description="Of it, what the invoice took; the rest is the customer's credit")]


class DisputeView(BaseModel):
    """A dispute of an invoice, or of some of its lines."""

    id: str
    ticket_id: Annotated[str, Field(description="The ticket in which both sides write about it")]
    ticket_number: Annotated[str, Field(description="The short number of the ticket")]
    customer_id: str
    customer_name: str | None
    invoice_id: str
    invoice_number: Annotated[str | None, Field(description="The number of the invoice")]
    status: DisputeStatus
    category: Annotated[str | None, Field(description="One of the company's codes; null: in own words")]
    lines: Annotated[list[DisputedPart], Field(description="What is disputed; none: the whole invoice")]
    currency: str
    amount_minor: Annotated[
        int | None, Field(description="What is disputed in all, in minor units; null: not known before it is decided")
    ]
    raised_at: Annotated[datetime, Field(description="When it was raised, in UTC")]
    decided_at: Annotated[datetime | None, Field(description="When it was decided or withdrawn, in UTC")]
    if_accepted: Annotated[IfAccepted | None, Field(description="What accepting would do; null once it is decided")]
    credit_note: Annotated[
        NoteOfDispute | None,
        Field(
            description="Of an accepted dispute; null as long as money under way may pay what is disputed, and with "
            "`nothing_to_credit`"
        ),
    ]
    nothing_to_credit: Annotated[
        bool,
        Field(
            description="Whether an accepted dispute ended without a credit note, because its invoice was voided or "
            "credited in full meanwhile"
        ),
    ]


MADE = ("lines", "amount_minor", "if_accepted", "credit_note", "nothing_to_credit")


def view_of_dispute(row: Any) -> dict[str, Any]:
    return {
        **{name: row[name] for name in DisputeView.model_fields if name not in MADE},
        "ticket_number": number_of(row["ticket_number"]),
        "lines": [{"line": one.line, "amount_minor": one.amount} for one in lines_of(row["lines"])],
        "amount_minor": row["amount"],
        "if_accepted": _if_accepted(row),
        "credit_note": _note(row),
        "nothing_to_credit": row["uncredited"],
    }


def _if_accepted(row: Any) -> dict[str, Any] | None:
    if (
        row["decided_at"] is not None
        or row["amount"] is None
        or row["payable_now"] is None
        or row["invoice_status"] == "void"
    ):
        return None
    amount = max(0, min(row["amount"], row["left_to_credit"]))
    share = share_credit(amount, payable_now=row["payable_now"], pending=row["pending"])
    return {"applied_minor": share.applied, "credit_minor": share.credit, "waits": share.waits}


def _note(row: Any) -> dict[str, Any] | None:
    if row["note_number"] is None:
        return None
    return {
        "number": row["note_number"], "amount_minor": row["note_amount"], "applied_minor": row["note_applied"],
    }  # fmt: skip
