"""What all requests of invoicing share: scopes, refusals, answers."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import Response

from chassis.http.identity import Identity, allow
from chassis.http.problems import Problem, not_found
from contracts.ids import is_id

ReadInvoices = Annotated[Identity, allow("invoices:read", by="everybody")]
WriteInvoices = Annotated[Identity, allow("invoices:write", by="company")]
ReadCustomers = Annotated[Identity, allow("customers:read", by="everybody")]
WriteCustomers = Annotated[Identity, allow("customers:write", by="company")]


def answer(body: Any, status: int = 200, seen: str | None = None) -> Response:
    headers = {"Paidup-Seen": seen} if seen else None
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def whose(customer_id: str | None, identity: Identity) -> str | None:
    """The customer that a request is about; None for all. Raises 404 if the identity may not see that customer."""
    if customer_id is not None and not is_id(customer_id):
        raise not_found("customer", customer_id)
    if customer_id is not None and not identity.sees(customer_id):
        raise not_found("customer", customer_id)
    return identity.customer_id or customer_id


def without_nul(text: str | None) -> str | None:
    """The text without NUL: PostgreSQL stores none, so nothing can match it."""
    if text is not None and "\x00" in text:
        raise Problem(status=422, slug="invalid-request", title="Invalid request", detail="The query holds a NUL byte.")
    return text
