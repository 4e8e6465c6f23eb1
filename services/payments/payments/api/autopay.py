"""Autopay over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StrictBool

from chassis.http.bodies import StrictRoute
from chassis.messaging.work import Work
from chassis.service import cause_of, running_of
from contracts.ids import is_id
from payments import messages, store
from payments.api.edge import Asked, ReadMethods, WriteMethods, answer, problem_of, rules_of, witness_of
from payments.api.methods import visible_customer
from payments.data_files import CODES, CONSENT_TEXTS
from payments.domain import (
    Autopay,
    AutopayCharge,
    Refusal,
    SurchargeRule,
    Terms,
    Witness,
    held_because,
    switch_off,
    switch_on,
    to_method,
)

router = APIRouter(route_class=StrictRoute)
PATH = "/v1/customers/{customer_id}/autopay"


class AutopayRequest(Asked):
    """`day`: the invoice's due date or its issue. `surcharge_consent` is needed when the method carries a surcharge."""

    enabled: StrictBool
    method_id: Annotated[str, Field(max_length=36)] | None = None
    day: Literal["due", "issue"] = "due"
    surcharge_consent: StrictBool = False


class UpcomingCharge(BaseModel):
    invoice_id: str
    attempt: int
    charge_on: date
    state: Literal["scheduled", "submitted"]
    payment_id: str | None


class AutopayView(BaseModel):
    """`held_reason`: nothing is charged until it is switched on again. Those issued before `enabled_at` never are.

    `held_because` says in words why it is held, and what to do; null when it is not.
    """

    customer_id: str
    enabled: bool
    method_id: str | None
    day: Literal["due", "issue"]
    surcharge_consent: bool
    surcharge_rate: str
    enabled_at: datetime | None
    held_reason: str | None
    held_because: str | None
    held_at: datetime | None
    upcoming: list[UpcomingCharge]


def _view(autopay: Autopay, upcoming: list[AutopayCharge], zone: str) -> dict[str, Any]:
    return {
        "customer_id": autopay.customer_id,
        "enabled": autopay.enabled,
        "method_id": autopay.method_id,
        "day": autopay.day,
        "surcharge_consent": autopay.surcharge_consent,
        "surcharge_rate": f"{autopay.surcharge_rate.normalize():f}",
        "enabled_at": autopay.enabled_at,
        "held_reason": autopay.held_reason,
        "held_because": held_because(autopay, CODES, zone),
        "held_at": autopay.held_at,
        "upcoming": [
            {
                "invoice_id": charge.invoice_id,
                "attempt": charge.attempt,
                "charge_on": charge.charge_on,
                "state": charge.state,
                "payment_id": charge.payment_id,
            }
            for charge in upcoming
        ],
    }


@router.get(PATH, response_model=AutopayView, tags=["payment methods"])
async def get_autopay(customer_id: str, request: Request, identity: ReadMethods) -> Response:
    """Whether invoices are paid by themselves, by what, and which ones are next."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    found = await store.load_autopay(running.pool, customer_id)
    since = found.enabled_at if found and found.charges else None
    upcoming = await store.list_upcoming(running.pool, customer_id, since)
    return answer(orjson.dumps(_view(found or _never(customer_id), upcoming, running.clock.zone)), 200)


def _never(customer_id: str) -> Autopay:
    return Autopay(customer_id, False, None, "due", False)


@router.put(PATH, response_model=AutopayView, tags=["payment methods"])
async def put_autopay(customer_id: str, asked: AutopayRequest, request: Request, identity: WriteMethods) -> Response:
    """Switch autopay on, off, or on again after it was held. Invoices issued from now on are charged by themselves."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    who = witness_of(request, identity)
    async with running.units.begin(cause_of(request, identity)) as work:
        await store.lock_customer(work, customer_id)
        autopay = await _switch(customer_id, asked, rules_of(running), who, work)
    upcoming = await store.list_upcoming(running.pool, customer_id, autopay.enabled_at if autopay.charges else None)
    return answer(orjson.dumps(_view(autopay, upcoming, running.clock.zone)), 200)


async def _switch(
    customer_id: str, asked: AutopayRequest, rules: tuple[SurchargeRule, ...], who: Witness, work: Work
) -> Autopay:
    before = await store.lock_autopay_of(work, customer_id)
    if not asked.enabled:
        if before is None or not before.enabled:
            return before or _never(customer_id)
        return await _save(switch_off(before), work)
    known = asked.method_id is not None and is_id(asked.method_id)
    method = await store.load_method(work.connection, customer_id, asked.method_id or "") if known else None
    if method is None:
        what = f"This customer has no payment method {asked.method_id}." if asked.method_id else "Send the method_id."
        raise problem_of(Refusal("unknown-method", f"{what} Autopay needs one that can be charged.", "method_id"))
    made = switch_on(
        before, method, asked.day, rules, surcharge_consent=asked.surcharge_consent, actor=who.actor,
        today=work.clock.today(), now=work.now,
    )  # fmt: skip
    if isinstance(made, Refusal):
        raise problem_of(made)
    if made == before:
        return made
    agreed = Terms(made.surcharge_rate)
    version = CONSENT_TEXTS["autopay"].version
    consent = to_method("autopay", customer_id, version, who, work.now, method_id=method.id, terms=agreed)
    await store.add_consents(work.connection, [consent])
    return await _save(made, work)


async def _save(autopay: Autopay, work: Work) -> Autopay:
    await store.save_autopay(work, autopay)
    work.emit(messages.autopay_changed(autopay, work.now))
    return autopay
