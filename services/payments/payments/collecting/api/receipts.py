"""Receipts over HTTP: money that was received outside of the provider."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StrictBool

from chassis.clock import Clock
from chassis.http.bodies import NOT_KEPT, StrictRoute
from chassis.http.idempotency import Key, find, replay, still_running
from chassis.http.problems import problem_of
from chassis.http.seen import patiently
from chassis.running import Running, cause_of, running_of
from contracts.allocation import Part, allocate, allocate_as_asked
from contracts.ids import is_id
from contracts.invoicing import Currency, Day, PositiveMinor, Text
from contracts.metadata import Metadata
from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.api.payments import save_once
from payments.collecting.api.shares import InvoicesToPay, other_currency, refuse_shares, said, unknown_invoice
from payments.collecting.api.views import PaymentView, QuotedPart, quoted
from payments.collecting.domain.payments import Step, receive
from payments.collecting.domain.quotes import MOST_PARTS
from payments.collecting.store.quotes import load_payable, load_wished
from payments.edge import Asked, IdempotencyKey, WriteBooks, answer, unknown_customer
from payments.own import Own
from payments.projections.store import load_names

router = APIRouter(route_class=StrictRoute)


class ReceivedMoney(Asked):
    """Without `invoices`, the money pays the oldest invoices first. The rest becomes the customer's credit; with
    `on_account`, all of it does.
    """

    customer_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor
    currency: Currency
    invoices: InvoicesToPay = Field([])
    on_account: StrictBool = False


class OfflineRequest(ReceivedMoney):
    """Without `invoices`, the money pays the oldest invoices first. The rest becomes the customer's credit; with
    `on_account`, all of it does.
    """

    received_on: Day
    reference: Text | None = None
    metadata: Metadata = {}  # noqa: RUF012 - pydantic copies it


class ReceiptPreview(BaseModel):
    """The invoices that received money would pay now, and the part that no invoice needs. Nothing is kept."""

    currency: str
    amount_minor: int
    allocations: list[QuotedPart]
    credit_minor: int


@router.post(
    "/v1/payments/offline/preview",
    status_code=200,
    response_model=ReceiptPreview,
    tags=["payments"],
    dependencies=[NOT_KEPT],
)
async def preview_receipt(asked: ReceivedMoney, request: Request, _: WriteBooks) -> Response:
    """Show which invoices received money would pay, before it is recorded or posted."""
    running, ids = running_of(request), [each.invoice_id for each in asked.invoices]
    if not is_id(asked.customer_id):
        raise problem_of(unknown_customer(asked.customer_id))
    refusal = refuse_shares(asked.amount_minor, asked.invoices, on_account=asked.on_account)
    refusal = refusal or await _refuse_names(running, asked)
    if refusal is not None:
        raise problem_of(refusal)
    if ids:
        invoices = (await load_wished(running.pool, None, asked.customer_id, ids))[1]
    else:
        invoices = (await load_payable(running.pool, None, asked.customer_id, asked.currency, MOST_PARTS))[1]
    money = Money(asked.amount_minor, asked.currency)
    dues = [] if asked.on_account else [invoice.due() for invoice in invoices.values()]
    shared = allocate_as_asked(money, _parts(asked), dues) if ids else allocate(money, dues)
    body = {
        "currency": asked.currency,
        "amount_minor": asked.amount_minor,
        "allocations": quoted(shared.parts, invoices),
        "credit_minor": shared.credit.minor,
    }
    return answer(orjson.dumps(body), 200)


@router.post("/v1/payments/offline", status_code=202, response_model=PaymentView, tags=["payments"])
async def receive_offline(
    asked: OfflineRequest, request: Request, identity: WriteBooks, key_text: IdempotencyKey
) -> Response:
    """Record money that was received. It is reconciled at once; its allocations follow when invoicing settles it."""
    running = running_of(request)
    if not is_id(asked.customer_id):
        raise problem_of(unknown_customer(asked.customer_id))
    key = Key(asked.customer_id, "POST /v1/payments/offline", key_text, said(asked))
    refusal = _refuse_receipt(asked, running.clock)
    if refusal is not None:
        stored = await find(running.pool, key)
        if stored is not None:  # it was in order when it was asked first
            return replay(stored, key)
        raise problem_of(refusal)
    saved: Response | None = None
    cause = cause_of(request, identity)

    async def settled() -> bool:
        nonlocal saved, refusal
        saved = await save_once(running, _receipt(asked, running.clock.now()), key, cause)
        refusal = await _refuse_names(running, asked) if saved is None else None
        return saved is not None or (refusal is not None and not refusal.code.startswith("unknown-"))

    await patiently(settled)
    if saved is None:
        raise problem_of(refusal) if refusal else still_running()
    return saved


def _receipt(asked: OfflineRequest, now: datetime) -> Step:
    money = Money(asked.amount_minor, asked.currency)
    return receive(
        asked.customer_id, money, asked.received_on, asked.reference, _parts(asked), now, on_account=asked.on_account,
        metadata=asked.metadata or None,
    )  # fmt: skip


def _parts(asked: ReceivedMoney) -> list[Part]:
    return [
        Part(each.invoice_id, Money(each.amount_minor or asked.amount_minor, asked.currency)) for each in asked.invoices
    ]


def _refuse_receipt(asked: OfflineRequest, clock: Clock) -> Refusal | None:
    """Return what is wrong with the request itself."""
    if asked.received_on > clock.today():
        detail = f"{asked.received_on} lies in the future; the company's today is {clock.today()}."
        return Refusal("received-in-future", detail, "received_on")
    return refuse_shares(asked.amount_minor, asked.invoices, on_account=asked.on_account)


async def _refuse_names(running: Running[Own], asked: ReceivedMoney) -> Refusal | None:
    """Return which customer or invoice is unknown or of another currency; None if all are known now."""
    ids = [each.invoice_id for each in asked.invoices]
    known, currencies = await load_names(running.pool, asked.customer_id, ids)
    if not known:
        return unknown_customer(asked.customer_id)
    for place, each in enumerate(asked.invoices):
        currency = currencies.get(each.invoice_id)
        if currency is None:
            return unknown_invoice(place, each.invoice_id)
        if currency != asked.currency:
            return other_currency(place, each.invoice_id, currency, asked.currency)
    return None
