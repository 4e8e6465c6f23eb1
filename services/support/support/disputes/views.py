"""Disputes as they are shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from contracts.support import DisputeStatus
from support.disputes.store import lines_of
from support.tickets.store import number_of


class DisputedPart(BaseModel):
    """A line of the invoice."""

    line: Annotated[int, Field(description="The place of the line in the invoice, from 1")]
    amount_minor: Annotated[
        int | None, Field(description="What of it is disputed, in minor units, with tax; null: the whole line")
    ]


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


def view_of_dispute(row: Any) -> dict[str, Any]:
    return {
        **{name: row[name] for name in DisputeView.model_fields if name not in ("lines", "amount_minor")},
        "ticket_number": number_of(row["ticket_number"]),
        "lines": [{"line": one.line, "amount_minor": one.amount} for one in lines_of(row["lines"])],
        "amount_minor": row["amount"],
    }
