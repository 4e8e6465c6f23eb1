"""What all requests of invoicing share: scopes, refusals, answers."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Response

from chassis.http.identity import Identity, allow
from chassis.http.problems import Problem

ReadInvoices = Annotated[Identity, allow("invoices:read", by="everybody")]
WriteInvoices = Annotated[Identity, allow("invoices:write", by="company")]
ReadCustomers = Annotated[Identity, allow("customers:read", by="everybody")]
WriteCustomers = Annotated[Identity, allow("customers:write", by="company")]


def answer(body: Any, status: int = 200, seen: str | None = None) -> Response:
    headers = {"Paidup-Seen": seen} if seen else None
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def without_nul(text: str | None) -> str | None:
    """The text without NUL: PostgreSQL stores none, so nothing can match it."""
    if text is not None and "\x00" in text:
        raise Problem(status=422, slug="invalid-request", title="Invalid request", detail="The query holds a NUL byte.")
    return text
