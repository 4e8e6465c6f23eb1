"""Payments over HTTP: parse, authorise, one command or query, render."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal

import asyncpg
import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from chassis.clock import Clock
from chassis.http.bodies import StrictRoute
from chassis.http.idempotency import Key, find, fingerprint, replay, required_key, still_running
from chassis.http.identity import Identity, allow
from chassis.http.problems import Problem, not_found
from chassis.messaging.work import Cause, Work
from chassis.service import Running, cause_of, running_of
from contracts.allocation import Part
from contracts.calendar import add_banking_days
from contracts.ids import is_id, new_id
from contracts.invoicing import Currency, Day, PositiveMinor, Text
from contracts.money import Money
from contracts.payments import PaymentStatus, Reconciliation
from payments import messages, reconciling, store
from payments.domain import (
    Method,
    OpenInvoice,
    Payment,
    Quote,
    Refusal,
    Step,
    Wish,
    make_quote,
    receive,
    still_fits,
    submit,
    wishes_again,
)
from payments.providers import BadSignature, Provider, ProviderRefused, ProviderUnknown

router = APIRouter(route_class=StrictRoute)

ReadPayments = Annotated[Identity, allow("payments:read")]
WritePayments = Annotated[Identity, allow("payments:write")]
ReadMethods = Annotated[Identity, allow("methods:read")]
WriteMethods = Annotated[Identity, allow("methods:write")]
IdempotencyKey = Annotated[str, Depends(required_key)]
Seen = Annotated[str | None, Header(alias="Paidup-Seen", max_length=200)]

BANKING_DAYS = {"card": 1, "bank_account": 5}
PATIENCE_SECONDS = 2.0


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MethodRequest(Asked):
    provider_token: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_]+$")]
    accept_terms: bool


class InvoiceToPay(Asked):
    invoice_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor | None = None


class QuoteRequest(Asked):
    customer_id: Annotated[str, Field(max_length=36)]
    method_id: Annotated[str, Field(max_length=36)]
    invoices: Annotated[list[InvoiceToPay], Field(min_length=1, max_length=1000)]


class PaymentRequest(Asked):
    quote_id: Annotated[str, Field(max_length=36)]
    accept_surcharge: bool | None = None


class OfflineRequest(Asked):
    """Without `invoices`, the money goes to the oldest first. What no invoice needs is the customer's credit."""

    customer_id: Annotated[str, Field(max_length=36)]
    amount_minor: PositiveMinor
    currency: Currency
    received_on: Day
    reference: Text | None = None
    invoices: Annotated[list[InvoiceToPay], Field(max_length=1000)] = []


class MethodView(BaseModel):
    id: str
    customer_id: str
    kind: Literal["card", "bank_account"]
    funding: Literal["credit", "debit", "prepaid", "unknown"] | None
    brand: str | None
    last4: str | None


class Methods(BaseModel):
    items: list[MethodView]


class QuotedPart(BaseModel):
    invoice_id: str
    due_on: date
    amount_minor: int


class QuoteView(BaseModel):
    """Minor units of `currency`; `total` is what the method is charged."""

    id: str
    customer_id: str
    method_id: str
    currency: str
    amount_minor: int
    surcharge_minor: int
    total_minor: int
    expires_at: datetime
    allocations: list[QuotedPart]


class AllocationView(BaseModel):
    invoice_id: str
    amount_minor: int


class PaymentView(BaseModel):
    """Minor units of `currency`. `reconciliation` is null when the payment ended without money."""

    id: str
    customer_id: str
    way: Literal["collect", "receive"]
    status: PaymentStatus
    reconciliation: Reconciliation | None
    reason: str | None
    currency: str
    amount_minor: int
    surcharge_minor: int
    total_minor: int
    credit_minor: int
    reversed_minor: int
    expected_by: date | None
    received_on: date | None
    reference: str | None
    method_id: str | None
    created_at: datetime
    allocations: list[AllocationView]


def _json(body: bytes, status: int, seen: str | None = None) -> Response:
    return Response(body, status, {"Paidup-Seen": seen} if seen else None, media_type="application/json")


def _problem(refusal: Refusal, status: int = 422, **extra: Any) -> Problem:
    return Problem(
        status=status,
        slug=refusal.code,
        title=refusal.code.replace("-", " ").capitalize(),
        detail=refusal.detail,
        errors=[{"field": refusal.field, "message": refusal.detail}] if refusal.field else None,
        extra=extra or None,
    )


def _unknown_customer(customer_id: str) -> Refusal:
    return Refusal("unknown-customer", f"There is no customer {customer_id}.", "customer_id")


async def _patiently(look: Callable[[], Awaitable[bool]]) -> bool:
    """What was just made elsewhere may not have arrived: look again for up to two seconds."""
    end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not await look():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.02)
    return True


async def _caught_up(running: Running, seen: str | None) -> None:
    """Wait until the projection holds what the client has already seen (`Paidup-Seen: <aggregate>:<sequence>`)."""
    if not seen:
        return
    aggregate, _, sequence = seen.partition(":")
    if not is_id(aggregate) or not sequence.isascii() or not sequence.isdigit() or len(sequence) > 18:
        raise _problem(Refusal("invalid-seen", "Send Paidup-Seen as it was answered: <id>:<number>.", "Paidup-Seen"))
    wanted = int(sequence)

    async def arrived() -> bool:
        return await store.seen_sequence(running.pool, aggregate) >= wanted

    if not await _patiently(arrived):
        raise Problem(
            status=503,
            slug="not-yet-here",
            title="Not yet here",
            detail="What you saw elsewhere has not arrived here yet. Send the request again in a second.",
            headers={"Retry-After": "1"},
        )


# --- methods


def _method_view(method: Method) -> dict[str, Any]:
    return {
        "id": method.id,
        "customer_id": method.customer_id,
        "kind": method.kind,
        "funding": method.funding,
        "brand": method.brand,
        "last4": method.last4,
    }


async def _visible_customer(running: Running, customer_id: str, identity: Identity) -> None:
    mine = is_id(customer_id) and identity.customer_id in (None, customer_id)
    if not mine or not await _patiently(lambda: store.customer_known(running.pool, customer_id)):
        raise not_found("customer", customer_id)


@router.post(
    "/v1/customers/{customer_id}/payment-methods", status_code=201, response_model=MethodView, tags=["payment methods"]
)
async def add_method(customer_id: str, asked: MethodRequest, request: Request, identity: WriteMethods) -> Response:
    """Keep a method by the provider's token for it; the number itself never comes here."""
    running = running_of(request)
    await _visible_customer(running, customer_id, identity)
    if not asked.accept_terms:
        detail = "The terms must be accepted to keep a payment method: send accept_terms true."
        raise _problem(Refusal("terms-not-accepted", detail, "accept_terms"))
    method = await _attach(running, customer_id, asked.provider_token)
    async with running.units.begin(cause_of(request, identity)) as work:
        await store.add_method(work, method)
        work.emit(messages.method_added(method, work.now))
    return _json(orjson.dumps(_method_view(method)), 201, seen=f"{method.id}:1")


async def _attach(running: Running, customer_id: str, token: str) -> Method:
    provider: Provider = running.more["provider"]
    method_id = new_id()
    try:
        whose = await store.find_provider_customer(running.pool, customer_id)
        if whose is None:
            whose = await provider.create_customer(customer_id)
            await store.keep_provider_customer(running.pool, customer_id, whose)
        details = await provider.attach_method(whose, token, method_id)
    except ProviderRefused as refused:
        raise _problem(
            Refusal("method-refused", f"The provider refused this method: {refused}", "provider_token")
        ) from None
    except ProviderUnknown:
        raise _provider_away() from None
    return Method(
        method_id, customer_id, details.provider_id, details.kind, details.funding, details.brand, details.last4
    )


def _provider_away() -> Problem:
    return Problem(
        status=503,
        slug="provider-unavailable",
        title="Payment provider unavailable",
        detail="The payment provider does not answer. Nothing was done; try again in a few seconds.",
        headers={"Retry-After": "5"},
    )


@router.get("/v1/customers/{customer_id}/payment-methods", response_model=Methods, tags=["payment methods"])
async def list_methods(customer_id: str, request: Request, identity: ReadMethods) -> Response:
    running = running_of(request)
    await _visible_customer(running, customer_id, identity)
    items = [_method_view(method) for method in await store.list_methods(running.pool, customer_id)]
    return _json(orjson.dumps({"items": items}), 200)


# --- quotes


def _quote_view(quote: Quote, invoices: dict[str, OpenInvoice]) -> dict[str, Any]:
    return {
        "id": quote.id,
        "customer_id": quote.customer_id,
        "method_id": quote.method_id,
        "currency": quote.amount.currency,
        "amount_minor": quote.amount.minor,
        "surcharge_minor": quote.surcharge.minor,
        "total_minor": quote.total.minor,
        "expires_at": quote.expires_at,
        "allocations": [
            {
                "invoice_id": part.invoice_id,
                "due_on": invoices[part.invoice_id].due_on,
                "amount_minor": part.amount.minor,
            }
            for part in quote.parts
        ],
    }


@router.post("/v1/quotes", status_code=201, response_model=QuoteView, tags=["payments"])
async def quote(asked: QuoteRequest, request: Request, identity: WritePayments, paidup_seen: Seen = None) -> Response:
    """Preview a payment: allocations, surcharge and total, valid for 15 minutes and for one confirmation."""
    running = running_of(request)
    if not is_id(asked.customer_id) or identity.customer_id not in (None, asked.customer_id):
        raise _problem(_unknown_customer(asked.customer_id))
    await _caught_up(running, paidup_seen)
    wishes = [Wish(each.invoice_id, each.amount_minor) for each in asked.invoices]
    method, invoices = await _wished(running, asked)
    if method is None:
        detail = f"This customer has no payment method {asked.method_id}."
        raise _problem(Refusal("unknown-method", detail, "method_id"))
    async with running.units.single(cause_of(request, identity)) as work:
        made = await _quote(work, running, method, wishes, invoices)
    if isinstance(made, Refusal):
        raise _problem(made)
    return _json(orjson.dumps(_quote_view(made, invoices)), 201)


async def _wished(running: Running, asked: QuoteRequest) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """The method, and the invoices that are known; unknown ones are waited for, they may have been issued just now."""
    method: Method | None = None
    invoices: dict[str, OpenInvoice] = {}
    wanted = sorted({each.invoice_id for each in asked.invoices if is_id(each.invoice_id)})

    async def all_known() -> bool:
        nonlocal method, invoices
        method, invoices = await store.load_wished(running.pool, asked.method_id, asked.customer_id, wanted)
        return method is None or len(invoices) == len(wanted)

    if is_id(asked.method_id):
        await _patiently(all_known)
    return method, invoices


async def _quote(
    work: Work, running: Running, method: Method, wishes: Sequence[Wish], invoices: dict[str, OpenInvoice]
) -> Quote | Refusal:
    made = make_quote(method, wishes, invoices, running.settings.surcharge_rate, work.now)
    if isinstance(made, Refusal):
        return made
    provider: Provider = running.more["provider"]
    against = provider.accepts(made.total.minor, made.amount.currency)
    if against:
        return Refusal("amount-not-chargeable", against, "invoices")
    await store.add_quote(work, made)
    return made


# --- payments


def _payment_view(payment: Payment) -> dict[str, Any]:
    return {
        "id": payment.id,
        "customer_id": payment.customer_id,
        "way": payment.way,
        "status": payment.status,
        "reconciliation": payment.reconciliation,
        "reason": payment.reason,
        "currency": payment.amount.currency,
        "amount_minor": payment.amount.minor,
        "surcharge_minor": payment.surcharge.minor,
        "total_minor": payment.total.minor,
        "credit_minor": payment.credit,
        "reversed_minor": payment.reversed,
        "expected_by": payment.expected_by,
        "received_on": payment.received_on,
        "reference": payment.reference,
        "method_id": payment.method_id,
        "created_at": payment.created_at,
        "allocations": [
            {"invoice_id": part.invoice_id, "amount_minor": part.amount.minor} for part in payment.allocations
        ],
    }


def _seen_header(payment: Payment) -> str:
    return f"{payment.id}:{payment.sequence}"


@dataclass(frozen=True, slots=True)
class Saving:
    """A payment on its way into the database, and what asked for it."""

    new: store.NewPayment
    cause: Cause


async def save_payments(savings: Sequence[Saving], work: Work) -> Sequence[bool]:
    """Save payments that were asked for at the same time; False for those that `add_payments` leaves out."""
    for saving in savings:
        work.cause = saving.cause
        work.emit(*messages.of([saving.new.step], work.now))
    saved = await store.add_payments(work, [saving.new for saving in savings])
    return [saving.new.step.payment.id in saved for saving in savings]


async def _save_once(running: Running, step: Step, key: Key, cause: Cause) -> Response | None:
    """Save a new payment under its key, or answer as the key was answered before; None when it can't be saved."""
    body, seen = orjson.dumps(_payment_view(step.payment)), _seen_header(step.payment)
    saving = Saving(store.NewPayment(step, key, store.Answer(202, body, seen)), cause)
    try:
        saved = await running.units.together(save_payments, saving, single=True)
    except asyncpg.UniqueViolationError:
        stored = await find(running.pool, key)
        if stored is None:
            raise still_running() from None
        return replay(stored, key)
    except asyncpg.LockNotAvailableError:
        raise still_running() from None
    return _json(body, 202, seen) if saved else None


@router.post("/v1/payments", status_code=202, response_model=PaymentView, tags=["payments"])
async def pay(asked: PaymentRequest, request: Request, identity: WritePayments, key_text: IdempotencyKey) -> Response:
    """Confirm a quote. A quote that no longer fits answers 409 with a new one to confirm."""
    confirmed = None
    for _ in range(2):  # the second time, when another request used the quote meanwhile
        confirmed = confirmed or await _confirm(asked, request, identity, key_text)
    if confirmed is None:
        raise still_running()
    return confirmed


async def _confirm(asked: PaymentRequest, request: Request, identity: Identity, key_text: str) -> Response | None:
    """None when another request used the quote between the look at it and the payment."""
    running, route = running_of(request), "POST /v1/payments"
    look = store.load_confirming(running.pool, asked.quote_id, identity.customer_id, route, key_text)
    found = await look if is_id(asked.quote_id) else None
    if found is None:
        raise _problem(Refusal("unknown-quote", f"There is no quote {asked.quote_id}.", "quote_id"))
    key = Key(found.quote.customer_id, route, key_text, fingerprint(asked.model_dump(mode="json")))
    if found.stored is not None:
        return replay(found.stored, key)
    cause, clock = cause_of(request, identity), running.clock
    await _refuse_stale(running, found, cause)
    expected_by = add_banking_days(clock.today(), BANKING_DAYS[found.method.kind])
    step = submit(found.quote, asked.accept_surcharge, expected_by=expected_by, now=clock.now())
    if isinstance(step, Refusal):
        raise _problem(step)
    return await _save_once(running, step, key, cause)


async def _refuse_stale(running: Running, found: store.Confirming, cause: Cause) -> None:
    """A quote that can't be confirmed any more is a problem, with a new one where there is still something to pay."""
    quote, invoices, now = found.quote, found.invoices, running.clock.now()
    if quote.payment_id is not None:
        detail = f"This quote was confirmed already, by payment {quote.payment_id}. Make a new quote to pay again."
        raise _problem(Refusal("quote-used", detail, "quote_id"), 409, payment_id=quote.payment_id)
    if quote.expires_at > now and still_fits(quote, invoices):
        return
    what = "has expired" if quote.expires_at <= now else "no longer fits its invoices"
    wishes = wishes_again(quote, invoices)
    async with running.units.single(cause) as work:
        new = await _quote(work, running, found.method, wishes, invoices) if wishes else None
    view = _quote_view(new, invoices) if isinstance(new, Quote) else None
    hint = "Confirm new_quote instead." if view else "Nothing of it can be paid now."
    raise _problem(Refusal("quote-stale", f"This quote {what}. {hint}", "quote_id"), 409, new_quote=view)


@router.post("/v1/payments/offline", status_code=202, response_model=PaymentView, tags=["payments"])
async def receive_offline(
    asked: OfflineRequest, request: Request, identity: WritePayments, key_text: IdempotencyKey, paidup_seen: Seen = None
) -> Response:
    """Record money that was received: it is reconciled at once, its allocations follow."""
    running = running_of(request)
    if not is_id(asked.customer_id) or identity.customer_id not in (None, asked.customer_id):
        raise _problem(_unknown_customer(asked.customer_id))
    await _caught_up(running, paidup_seen)
    key = Key(asked.customer_id, "POST /v1/payments/offline", key_text, fingerprint(asked.model_dump(mode="json")))
    refusal = _refuse_receipt(asked, running.clock)
    if refusal is not None:
        raise _problem(refusal)
    saved: Response | None = None
    cause = cause_of(request, identity)

    async def settled() -> bool:
        nonlocal saved, refusal
        saved = await _save_once(running, _receipt(asked, running.clock.now()), key, cause)
        refusal = await _refuse_names(running, asked) if saved is None else None
        return saved is not None or (refusal is not None and not refusal.code.startswith("unknown-"))

    await _patiently(settled)
    if saved is None:
        raise _problem(refusal) if refusal else still_running()
    return saved


def _receipt(asked: OfflineRequest, now: datetime) -> Step:
    money = Money(asked.amount_minor, asked.currency)
    parts = [
        Part(each.invoice_id, Money(each.amount_minor or asked.amount_minor, asked.currency)) for each in asked.invoices
    ]
    return receive(asked.customer_id, money, asked.received_on, asked.reference, parts, now)


def _refuse_receipt(asked: OfflineRequest, clock: Clock) -> Refusal | None:
    """What is wrong with the request by itself."""
    if asked.received_on > clock.today():
        detail = f"{asked.received_on} lies in the future; the company's today is {clock.today()}."
        return Refusal("received-in-future", detail, "received_on")
    for place, each in enumerate(asked.invoices):
        if not is_id(each.invoice_id):
            return _unknown_invoice(place, each)
    if len({each.invoice_id for each in asked.invoices}) < len(asked.invoices):
        return Refusal("invoice-twice", "An invoice is named twice.", "invoices")
    named = sum(each.amount_minor or 0 for each in asked.invoices)
    if named > asked.amount_minor:
        detail = f"The invoices' amounts sum to {named}, more than the {asked.amount_minor} received."
        return Refusal("more-than-received", detail, "invoices")
    return None


async def _refuse_names(running: Running, asked: OfflineRequest) -> Refusal | None:
    """Which of the names is not known here, or of another currency; None when all have arrived by now."""
    ids = [each.invoice_id for each in asked.invoices]
    known, currencies = await store.load_names(running.pool, asked.customer_id, ids)
    if not known:
        return _unknown_customer(asked.customer_id)
    for place, each in enumerate(asked.invoices):
        currency = currencies.get(each.invoice_id)
        if currency is None:
            return _unknown_invoice(place, each)
        if currency != asked.currency:
            detail = f"Invoice {each.invoice_id} is in {currency}, the payment in {asked.currency}."
            return Refusal("other-currency", detail, f"invoices.{place}.invoice_id")
    return None


def _unknown_invoice(place: int, each: InvoiceToPay) -> Refusal:
    detail = f"This customer has no invoice {each.invoice_id}."
    return Refusal("unknown-invoice", detail, f"invoices.{place}.invoice_id")


@router.get("/v1/payments/{payment_id}", response_model=PaymentView, tags=["payments"])
async def get_payment(payment_id: str, request: Request, identity: ReadPayments) -> Response:
    pool = running_of(request).pool
    payment = await store.load_payment(pool, payment_id, identity.customer_id) if is_id(payment_id) else None
    if payment is None:
        raise not_found("payment", payment_id)
    return _json(orjson.dumps(_payment_view(payment)), 200)


# --- the provider's webhooks


@router.post("/v1/webhooks/stripe", status_code=200, tags=["webhooks"], include_in_schema=False)
async def take_webhook(request: Request) -> Response:
    """Signed by the provider; unsigned, mutated or old ones are refused."""
    running = running_of(request)
    provider: Provider = running.more["provider"]
    try:
        event = provider.read_webhook(
            await request.body(), request.headers.get("stripe-signature", ""), running.clock.now()
        )
    except BadSignature:
        detail = "The signature does not fit, or is older than five minutes."
        raise _problem(Refusal("bad-signature", detail), 400) from None
    try:
        await reconciling.take_event(running.units, provider, event)
    except ProviderUnknown:
        raise _provider_away() from None
    return _json(b"{}", 200)
