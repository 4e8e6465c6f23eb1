"""What a choice would cost with each method of the customer, before a quote is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import NOT_KEPT, StrictRoute
from chassis.running import Running, running_of
from contracts.refusals import Refusal
from payments.collecting.api.quotes import QuoteRequest, chosen, currency_of, preview, refused
from payments.collecting.domain.quotes import Choice, Quote
from payments.edge import Pay, answer
from payments.methods.data_files import CURRENCIES
from payments.methods.domain.methods import Method, cannot_pay
from payments.methods.store.methods import list_methods
from payments.own import Own
from payments.projections.domain import OpenInvoice
from payments.projections.store import available_credit

router = APIRouter(route_class=StrictRoute)


class QuoteOption(BaseModel):
    """What is charged with this method. If it can't be charged: `because`, the code of the problem that a quote would
    be, with its `values` and its `text`; then there are no amounts.
    """

    method_id: str
    usable: bool
    surcharge_minor: int | None
    surcharge_rate: str | None
    total_minor: int | None
    because: str | None
    values: dict[str, str | int]
    text: str | None


class QuoteOptions(BaseModel):
    """`amount`: what a method pays after `credit_used`, without surcharge. `method_needed`: credit does not pay all."""

    currency: str
    amount_minor: int
    credit_used_minor: int
    method_needed: bool
    items: list[QuoteOption]


@router.post(
    "/v1/quotes/options", status_code=200, response_model=QuoteOptions, tags=["payments"], dependencies=[NOT_KEPT]
)
async def quote_options(asked: QuoteRequest, request: Request, identity: Pay) -> Response:
    """Show what a choice costs with each saved method, the default first. Nothing is kept: make a quote to pay.

    With `method_id`, that method is the first, also if it is for one payment.
    """
    running, reads = running_of(request), running_of(request).reads(identity)
    choice, named, invoices = await chosen(reads, asked, identity)
    currency = currency_of(choice, invoices)
    credit = await available_credit(reads, asked.customer_id, currency) if asked.use_credit else 0
    bare = preview(running, asked.customer_id, None, choice, invoices, credit)
    if isinstance(bare, Refusal) and bare.code != "method-needed":
        raise await refused(reads, asked, choice, None, bare)
    saved = [one for one in await list_methods(reads, asked.customer_id) if one.id != asked.method_id]
    methods = [*([named] if named else []), *saved]
    items = [_option(running, one, choice, invoices, credit, methods) for one in methods]
    return answer(orjson.dumps({"currency": currency, **_amounts(bare), "items": items}), 200)


def _amounts(bare: Quote | Refusal) -> dict[str, Any]:
    """Of the choice without a method: either credit pays it all, or so much is left for a method."""
    if isinstance(bare, Quote):
        return {"amount_minor": bare.amount.minor, "credit_used_minor": bare.credit_used, "method_needed": False}
    left, used = bare.values["left_minor"], bare.values["credit_used_minor"]
    return {"amount_minor": left, "credit_used_minor": used, "method_needed": True}


def _option(
    running: Running[Own],
    method: Method,
    choice: Choice,
    invoices: dict[str, OpenInvoice],
    credit: int,
    others: Sequence[Method],
) -> dict[str, Any]:
    made = preview(running, method.customer_id, method, choice, invoices, credit)
    if isinstance(made, Quote) and made.total:
        made = cannot_pay(CURRENCIES, method, made.total.currency, running.clock.today(), others) or made
    quoted, refusal = (made, None) if isinstance(made, Quote) else (None, made)
    return {
        "method_id": method.id,
        "usable": quoted is not None,
        "surcharge_minor": quoted.surcharge.minor if quoted else None,
        "surcharge_rate": f"{quoted.terms.rate.normalize():f}" if quoted else None,
        "total_minor": quoted.total.minor if quoted else None,
        "because": refusal.code if refusal else None,
        "values": refusal.values if refusal else {},
        "text": refusal.detail if refusal else None,
    }
