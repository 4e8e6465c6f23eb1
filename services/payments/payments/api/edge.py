"""What all of payments' requests share: shapes, refusals, and waiting for what was made elsewhere a moment ago."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from chassis import logs
from chassis.http.idempotency import fingerprint, required_key
from chassis.http.identity import Identity, allow
from chassis.http.problems import Problem
from chassis.service import Running, running_of
from contracts.ids import is_id
from contracts.invoicing import PositiveMinor
from payments.domain import Refusal, SurchargeRule, Witness

ReadPayments = Annotated[Identity, allow("payments:read")]
WritePayments = Annotated[Identity, allow("payments:write")]
ReadMethods = Annotated[Identity, allow("methods:read")]
WriteMethods = Annotated[Identity, allow("methods:write")]
IdempotencyKey = Annotated[str, Depends(required_key)]

PATIENCE_SECONDS = 2.0


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _web_address(text: str) -> str:
    where = urlsplit(text)
    if where.scheme not in ("http", "https") or not where.hostname or where.username is not None:
        raise ValueError("must be a whole http or https address")
    return text


WebAddress = Annotated[str, Field(max_length=2000), AfterValidator(_web_address)]


class InvoiceToPay(Asked):
    invoice_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor | None = None


# The first part at fault is named: to find all faults of a thousand parts takes a second.
InvoicesToPay = Annotated[list[InvoiceToPay], Field(max_length=1000, fail_fast=True)]


def witness_of(request: Request, identity: Identity) -> Witness:
    """Who speaks in a request, and from which address: the gateway alone writes it, and lets none through."""
    address = request.headers.get("paidup-client-address") or None
    secret = running_of(request).settings.address_secret.get_secret_value()
    return Witness(f"{identity.kind}:{identity.subject}", logs.request_id.get() or None, address, secret)


def said(asked: BaseModel) -> bytes:
    """The fingerprint of a request. Without metadata it is what it was before there was any."""
    body = asked.model_dump(mode="json")
    if not body["metadata"]:
        del body["metadata"]
    return fingerprint(body)


def rules_of(running: Running) -> tuple[SurchargeRule, ...]:
    """The surcharge rules that this process started with; by their dates some of them hold."""
    rules: tuple[SurchargeRule, ...] = running.more["surcharge_rules"]
    return rules


def answer(body: bytes, status: int, seen: str | None = None) -> Response:
    return Response(body, status, {"Paidup-Seen": seen} if seen else None, media_type="application/json")


def problem_of(refusal: Refusal, status: int = 422, **extra: Any) -> Problem:
    return Problem(
        status=409 if refusal.conflict else status,
        slug=refusal.code,
        title=refusal.code.replace("-", " ").capitalize(),
        detail=refusal.detail,
        errors=[{"field": refusal.field, "message": refusal.detail}] if refusal.field else None,
        extra={**({"values": dict(refusal.values)} if refusal.values else {}), **extra} or None,
    )


def unknown_customer(customer_id: str) -> Refusal:
    return Refusal("unknown-customer", f"There is no customer {customer_id}.", "customer_id")


def unknown_invoice(place: int, invoice_id: str) -> Refusal:
    return Refusal("unknown-invoice", f"This customer has no invoice {invoice_id}.", f"invoices.{place}.invoice_id")


def other_currency(place: int, invoice_id: str, currency: str, money: str) -> Refusal:
    detail = f"Invoice {invoice_id} is in {currency}, the money in {money}."
    return Refusal("other-currency", detail, f"invoices.{place}.invoice_id")


def refuse_shares(amount: int, invoices: Sequence[InvoiceToPay], *, on_account: bool) -> Refusal | None:
    """What is wrong, by itself, with what received money of so many minor units is to pay."""
    if on_account and invoices:
        return Refusal("not-used", "Money on account pays no invoices; leave them out, or on_account.", "on_account")
    for place, each in enumerate(invoices):
        if not is_id(each.invoice_id):
            return unknown_invoice(place, each.invoice_id)
    if len({each.invoice_id for each in invoices}) < len(invoices):
        return Refusal("invoice-twice", "An invoice is named twice.", "invoices")
    named = sum(each.amount_minor or 0 for each in invoices)
    if named > amount:
        detail = f"The invoices' amounts sum to {named}, more than the {amount} received."
        return Refusal("more-than-received", detail, "invoices")
    return None


async def patiently(look: Callable[[], Awaitable[bool]]) -> bool:
    """What was just made elsewhere may not have arrived: look again for up to two seconds."""
    end, pause = asyncio.get_running_loop().time() + PATIENCE_SECONDS, 0.01
    while not await look():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    return True


def provider_away() -> Problem:
    return Problem(
        status=503,
        slug="provider-unavailable",
        title="Payment provider unavailable",
        detail="The payment provider does not answer. Nothing was done; try again in a few seconds.",
        headers={"Retry-After": "5"},
    )
