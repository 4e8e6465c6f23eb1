"""Autopay over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, FailFast, Field, StrictBool

from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity, need_fresh
from chassis.http.problems import problem_of
from chassis.messaging.work import Work
from chassis.running import Running, cause_of, running_of
from contracts.ids import is_id
from contracts.invoicing import Currency
from contracts.refusals import Refusal
from payments.autopay.domain import (
    LEFT,
    Autopay,
    Left,
    LeftBecause,
    Payers,
    held_because,
    left_by_hand,
    switch_off,
    switch_on,
)
from payments.autopay.messages import autopay_changed
from payments.autopay.store import Upcoming, list_upcoming, load_autopay, load_left, lock_autopay_of, save_autopay
from payments.collecting.api.surcharges import rules_of
from payments.collecting.domain.surcharges import SurchargeRule
from payments.edge import Asked, ReadMethods, WriteMethods, answer
from payments.methods.api import visible_customer, witness_of
from payments.methods.data_files import CONSENT_TEXTS, CURRENCIES
from payments.methods.domain.consents import Terms, Witness, to_method
from payments.methods.domain.methods import Method
from payments.methods.store.consents import add_consents
from payments.methods.store.methods import list_methods, load_method, load_methods
from payments.own import Own
from payments.projections.store import lock_customer
from payments.providers.data_files import CODES

router = APIRouter(route_class=StrictRoute)
PATH = "/v1/customers/{customer_id}/autopay"


class MethodOfCurrency(Asked):
    """The method that pays invoices of one currency."""

    currency: Currency
    method_id: Annotated[str, Field(max_length=36)]


class AutopayRequest(Asked):
    """`day`: the invoice's due date or day of issue. `surcharge_consent` is needed if a method has a surcharge.

    `methods` names a method for each of several currencies; `method_id` pays all other currencies that it can. One of
    the two is needed to switch autopay on.
    """

    enabled: StrictBool
    method_id: Annotated[str, Field(max_length=36)] | None = None
    methods: Annotated[tuple[MethodOfCurrency, ...], FailFast()] = Field((), max_length=50)
    day: Literal["due", "issue"] = "due"
    surcharge_consent: StrictBool = False


class UpcomingCharge(BaseModel):
    """`amount`: what can be paid of the invoice now, without surcharge; once `submitted`, what is being paid."""

    invoice_id: str
    number: str
    currency: str
    amount_minor: int
    attempt: int
    charge_on: date
    state: Literal["scheduled", "submitted"]
    payment_id: str | None


class LeftByHand(BaseModel):
    """An invoice that autopay will not charge. `because` is the reason as a code: no method of autopay pays in its
    currency, autopay is held, all tries have failed, or it was issued before autopay was switched on. `text` is the
    reason in words.
    """

    invoice_id: str
    number: str
    currency: str
    payable_now_minor: int
    due_on: date
    because: LeftBecause
    text: str


class AutopayView(BaseModel):
    """`held_reason`: why nothing is charged until it is switched on again. Invoices before `enabled_at` never are.

    `held_because` says in words why it is held, and what to do; null if it is not held.

    `left_by_hand`: up to 100 payable invoices that autopay will not charge, the oldest first; empty while it is off.
    """

    customer_id: str
    enabled: bool
    method_id: str | None
    methods: list[MethodOfCurrency]
    day: Literal["due", "issue"]
    surcharge_consent: bool
    surcharge_rate: str
    enabled_at: datetime | None
    held_reason: str | None
    held_because: str | None
    held_at: datetime | None
    upcoming: list[UpcomingCharge]
    left_by_hand: list[LeftByHand]


def _view(autopay: Autopay, upcoming: list[Upcoming], left: list[Left], zone: str) -> dict[str, Any]:
    return {
        "customer_id": autopay.customer_id,
        "enabled": autopay.enabled,
        "method_id": autopay.method_id,
        "methods": [{"currency": currency, "method_id": one} for currency, one in autopay.by_currency],
        "day": autopay.day,
        "surcharge_consent": autopay.surcharge_consent,
        "surcharge_rate": f"{autopay.surcharge_rate.normalize():f}",
        "enabled_at": autopay.enabled_at,
        "held_reason": autopay.held_reason,
        "held_because": held_because(autopay, CODES, zone),
        "held_at": autopay.held_at,
        "upcoming": [
            {
                "invoice_id": each.charge.invoice_id,
                "number": each.number,
                "currency": each.amount.currency,
                "amount_minor": each.amount.minor,
                "attempt": each.charge.attempt,
                "charge_on": each.charge.charge_on,
                "state": each.charge.state,
                "payment_id": each.charge.payment_id,
            }
            for each in upcoming
        ],
        "left_by_hand": [
            {
                "invoice_id": each.invoice.id,
                "number": each.invoice.number,
                "currency": each.invoice.currency,
                "payable_now_minor": each.invoice.payable_now,
                "due_on": each.invoice.due_on,
                "because": each.because,
                "text": LEFT[each.because].format(currency=each.invoice.currency),
            }
            for each in left
        ],
    }


@router.get(PATH, response_model=AutopayView, tags=["payment methods"])
async def get_autopay(customer_id: str, request: Request, identity: ReadMethods) -> Response:
    """Show whether autopay is on, its methods, and what it charges next."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    found = await load_autopay(running.reads(identity), customer_id)
    return await _answer(running, found or _never(customer_id), identity)


async def _answer(running: Running[Own], autopay: Autopay, identity: Identity) -> Response:
    reads, since = running.reads(identity), autopay.enabled_at if autopay.charges else None
    upcoming = await list_upcoming(reads, autopay.customer_id, since, running.clock.today())
    left = list[Left]()
    if autopay.enabled:
        methods = await load_methods(reads, autopay.method_ids)
        invoices = await load_left(reads, autopay.customer_id, since)
        left = left_by_hand(autopay, methods, invoices, CURRENCIES, running.clock.today())
    return answer(orjson.dumps(_view(autopay, upcoming, left, running.clock.zone)), 200)


def _never(customer_id: str) -> Autopay:
    return Autopay(customer_id, False, None, "due", False)


@router.put(PATH, response_model=AutopayView, tags=["payment methods"])
async def put_autopay(customer_id: str, asked: AutopayRequest, request: Request, identity: WriteMethods) -> Response:
    """Switch autopay on, off, or on again after it was held. It charges invoices that are issued from now on."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    if asked.enabled:
        need_fresh(identity, running.clock.now())
    who = witness_of(request, identity)
    async with running.units.begin(cause_of(request, identity)) as work:
        await lock_customer(work, customer_id)
        autopay = await _switch(customer_id, asked, rules_of(running), who, work)
    return await _answer(running, autopay, identity)


async def _switch(
    customer_id: str, asked: AutopayRequest, rules: tuple[SurchargeRule, ...], who: Witness, work: Work
) -> Autopay:
    before = await lock_autopay_of(work, customer_id)
    if not asked.enabled:
        if before is None or not before.enabled:
            return before or _never(customer_id)
        return await _save(switch_off(before), work)
    payers = await _payers(customer_id, asked, work)
    made = switch_on(
        before, customer_id, payers, asked.day, rules, CURRENCIES, surcharge_consent=asked.surcharge_consent,
        actor=who.actor, today=work.clock.today(), now=work.now,
    )  # fmt: skip
    if isinstance(made, Refusal):
        raise problem_of(made)
    if made == before:
        return made
    agreed = Terms(made.surcharge_rate)
    version = CONSENT_TEXTS["autopay"].version
    consents = [
        to_method("autopay", customer_id, version, who, work.now, method_id=method_id, terms=agreed)
        for method_id in made.method_ids
    ]
    await add_consents(work.connection, consents)
    return await _save(made, work)


async def _payers(customer_id: str, asked: AutopayRequest, work: Work) -> Payers:
    """Load the named methods, which must be the customer's: at most one for each currency."""
    named = [(each.currency, each.method_id, f"methods.{n}.method_id") for n, each in enumerate(asked.methods)]
    if len({currency for currency, _, _ in named}) < len(named):
        raise problem_of(Refusal("currency-twice", "A currency is named twice: send one method for each.", "methods"))
    if asked.method_id is None and not named:
        detail = "Send the method_id, or methods by currency. Autopay needs one that can be charged."
        raise problem_of(Refusal("unknown-method", detail, "method_id"))
    rest = await _method(customer_id, asked.method_id, "method_id", work) if asked.method_id else None
    by_currency = [(currency, await _method(customer_id, one, field, work)) for currency, one, field in named]
    others = await list_methods(work.connection, customer_id) if by_currency else []
    return Payers(rest, tuple(by_currency), tuple(others))


async def _method(customer_id: str, method_id: str, field: str, work: Work) -> Method:
    found = await load_method(work.connection, customer_id, method_id) if is_id(method_id) else None
    if found is None:
        detail = f"This customer has no payment method {method_id}. Autopay needs one that can be charged."
        raise problem_of(Refusal("unknown-method", detail, field))
    return found


async def _save(autopay: Autopay, work: Work) -> Autopay:
    await save_autopay(work, autopay)
    work.emit(autopay_changed(autopay, work.now))
    return autopay
