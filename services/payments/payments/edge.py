"""Code that all requests of payments share: types, refusals, and waiting for things that were made a moment ago."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from chassis.http.idempotency import required_key
from chassis.http.identity import Identity, allow
from chassis.http.problems import Problem
from contracts.refusals import Refusal

ReadPayments = Annotated[Identity, allow("payments:read", by="everybody")]
ReadEvidence = Annotated[Identity, allow("payments:read", by="contacts")]
ReadRules = Annotated[Identity, allow("payments:read", by="programs")]
ReadBooks = Annotated[Identity, allow("payments:read", by="company")]
Pay = Annotated[Identity, allow("payments:write", by="contacts")]
WriteBooks = Annotated[Identity, allow("payments:write", by="company")]
ReadMethods = Annotated[Identity, allow("methods:read", by="contacts")]
WriteMethods = Annotated[Identity, allow("methods:write", by="contacts")]
IdempotencyKey = Annotated[str, Depends(required_key)]


def own_key(identity: Identity, key_text: str) -> str:
    """The Idempotency-Key as it is kept: two people of one customer may choose the same."""
    return f"{identity.subject} {key_text}" if identity.kind == "contact" else key_text


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _web_address(text: str) -> str:
    where = urlsplit(text)
    if where.scheme not in ("http", "https") or not where.hostname or where.username is not None:
        raise ValueError("must be a whole http or https address")
    return text


WebAddress = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]


def answer(body: bytes, status: int, seen: str | None = None) -> Response:
    return Response(body, status, {"Paidup-Seen": seen} if seen else None, media_type="application/json")


def unknown_customer(customer_id: str) -> Refusal:
    return Refusal("unknown-customer", f"There is no customer {customer_id}.", "customer_id")


def provider_away() -> Problem:
    return Problem(
        status=503,
        slug="provider-unavailable",
        title="Payment provider unavailable",
        detail="The payment provider does not answer. Nothing was done; try again in a few seconds.",
        headers={"Retry-After": "5"},
    )
