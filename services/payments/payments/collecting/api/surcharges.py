"""Surcharge rules and consents over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import StrictRoute
from chassis.http.problems import not_found
from chassis.running import Running, running_of
from contracts.ids import is_id
from payments.collecting.domain.surcharges import SurchargeRule
from payments.collecting.store.payments import load_payment
from payments.collecting.store.surcharges import load_rules
from payments.edge import ReadEvidence, ReadRules, answer
from payments.methods.data_files import EVERY_TEXT
from payments.methods.store.consents import load_consents
from payments.own import Own

router = APIRouter(route_class=StrictRoute)


def rules_of(running: Running[Own]) -> tuple[SurchargeRule, ...]:
    """The surcharge rules that this process started with. Their dates decide which of them hold."""
    rules: tuple[SurchargeRule, ...] = running.own.surcharge_rules
    return rules


class SurchargeRuleView(BaseModel):
    """Null criteria fit everything. But a rule without `country` holds only in the United States, or, if the address is
    unknown, for payments in USD.

    `rate` is 0.03 for 3 %; `cap` is in minor units of `currency`."""

    id: str
    valid_from: date
    valid_until: date | None
    currency: str | None
    country: str | None
    state: str | None
    brand: str | None
    funding: Literal["credit"]
    rate: str
    cap_minor: int | None
    source: str


class SurchargeRules(BaseModel):
    items: list[SurchargeRuleView]


class ConsentView(BaseModel):
    """One yes (`given`) or no, with the words that the payer saw. Amounts are in minor units of `currency`."""

    id: str
    kind: Literal["surcharge", "terms", "autopay"]
    given: bool
    actor: str
    at: datetime
    text_version: str
    text: str | None
    quote_id: str | None
    method_id: str | None
    currency: str | None
    amount_minor: int | None
    surcharge_minor: int | None
    total_minor: int | None
    surcharge_rule: str | None
    surcharge_rate: str | None
    surcharge_cap_minor: int | None
    request_id: str | None
    address_hash: str | None


class Consents(BaseModel):
    payment_id: str
    customer_id: str
    consents: list[ConsentView]


@router.get("/v1/surcharge-rules", response_model=SurchargeRules, tags=["payments"])
async def list_surcharge_rules(request: Request, _: ReadRules) -> Response:
    """List the rules of the latest edition: the surcharge of credit cards by date and place. The most specific wins."""
    rules = await load_rules(running_of(request).pool)
    items = [
        {
            "id": rule.id,
            "valid_from": rule.valid_from,
            "valid_until": rule.valid_until,
            "currency": rule.currency,
            "country": rule.country,
            "state": rule.state,
            "brand": rule.brand,
            "funding": rule.funding,
            "rate": f"{rule.rate.normalize():f}",
            "cap_minor": rule.cap,
            "source": rule.source,
        }
        for rule in rules
    ]
    return answer(orjson.dumps({"items": items}), 200)


AS_FILE: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"Content-Disposition": {"description": "A name for the file", "schema": {"type": "string"}}}}
}


@router.get("/v1/payments/{payment_id}/consent", response_model=Consents, responses=AS_FILE, tags=["payments"])
async def get_consent(payment_id: str, request: Request, identity: ReadEvidence) -> Response:
    """Download the evidence of consent: to a payment and, before it, to its method."""
    reads = running_of(request).reads(identity)
    payment = await load_payment(reads, payment_id, identity.customer_id) if is_id(payment_id) else None
    consents = await load_consents(reads, payment.id) if payment else []
    if payment is None or not consents:
        raise not_found("consent of payment", payment_id)
    body = {"payment_id": payment.id, "customer_id": payment.customer_id, "consents": [_view(row) for row in consents]}
    made = answer(orjson.dumps(body, option=orjson.OPT_INDENT_2), 200)
    made.headers["Content-Disposition"] = f'attachment; filename="consent-{payment.id}.json"'
    return made


def _view(row: Any) -> dict[str, Any]:
    amount, surcharge = row["amount"], row["surcharge"]
    return {
        "id": row["id"],
        "kind": row["kind"],
        "given": row["given"],
        "actor": row["actor"],
        "at": row["at"],
        "text_version": row["text_version"],
        "text": EVERY_TEXT.get(row["text_version"]),
        "quote_id": row["quote_id"],
        "method_id": row["method_id"],
        "currency": row["currency"],
        "amount_minor": amount,
        "surcharge_minor": surcharge,
        "total_minor": None if amount is None or surcharge is None else amount + surcharge,
        "surcharge_rule": row["rule_id"],
        "surcharge_rate": None if row["rate"] is None else f"{row['rate'].normalize():f}",
        "surcharge_cap_minor": row["cap"],
        "request_id": row["request_id"],
        "address_hash": row["address_hash"],
    }
