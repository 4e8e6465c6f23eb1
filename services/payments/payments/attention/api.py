"""What needs a customer's attention, over HTTP."""

from __future__ import annotations

from datetime import timedelta

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from chassis.http.bodies import StrictRoute
from chassis.running import running_of
from payments.attention import store
from payments.attention.domain import Code, notices, of_autopay
from payments.autopay.domain import held_because
from payments.autopay.store import load_autopay
from payments.edge import ReadPayments, answer
from payments.methods.api import visible_customer
from payments.methods.store.methods import list_methods
from payments.providers.data_files import CODES

router = APIRouter(route_class=StrictRoute)
LATELY = timedelta(days=30)


class AttentionItem(BaseModel):
    """Something to do or to know. `text` is `code` with its `values` in English: render these for another language.

    payment_needs_confirmation  the payer goes to `next_action_url` before `act_by`
    payment_not_confirmed       the provider's record did not agree by `expected_by`
    payment_returned            a bank took the money back in the last 30 days, `reason` is its code
    payment_disputed            a bank holds the money until a chargeback is decided
    autopay_held                nothing is charged until somebody switches it on again, `reason` as in autopay
    method_expired, method_expires_soon, method_unverified   a saved method, by `kind`, `brand` and `last4`

    Values of payments: `payment_id`, `number`, `amount_minor` with surcharge, `currency`, and of the first two
    `invoices` (how many) and `invoice_number` (the first).
    """

    code: Code
    values: dict[str, str | int]
    text: str


class Attention(BaseModel):
    items: list[AttentionItem]


@router.get("/v1/customers/{customer_id}/attention", response_model=Attention, tags=["payments"])
async def get_attention(customer_id: str, request: Request, identity: ReadPayments) -> Response:
    """Show what needs the customer's attention, the most urgent first."""
    running, reads, today = running_of(request), running_of(request).reads(identity), running_of(request).clock.today()
    await visible_customer(running, customer_id, identity)
    payments = await store.load_unconfirmed(reads, customer_id, today)
    numbers = await store.load_numbers(reads, payments)
    back = await store.load_taken_back(reads, customer_id, running.clock.now() - LATELY)
    autopay, methods = await load_autopay(reads, customer_id), await list_methods(reads, customer_id)
    held = of_autopay(autopay, held_because(autopay, CODES, running.clock.zone) if autopay else None)
    found = notices(payments, numbers, back, held, methods, today)
    items = [{"code": one.code, "values": one.values, "text": one.text} for one in found]
    return answer(orjson.dumps({"items": items}), 200)
