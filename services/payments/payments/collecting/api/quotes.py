"""Quotes over HTTP: previews of payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictBool

from chassis.db.reads import Reads
from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity
from chassis.http.problems import Problem, not_found, problem_of
from chassis.http.seen import patiently
from chassis.running import Running, running_of
from contracts.ids import is_id
from contracts.invoicing import Currency, PositiveMinor
from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.api.shares import InvoicesToPay
from payments.collecting.api.surcharges import rules_of
from payments.collecting.api.views import QuoteView, view_of_quote
from payments.collecting.domain.quotes import MOST_PARTS, Choice, Everything, Quote, Sum, Wish, Wishes, make_quote
from payments.collecting.domain.surcharges import NO_SURCHARGE, terms_for
from payments.collecting.store.payments import all_held, waiting_for_payer
from payments.collecting.store.quotes import add_quotes, load_confirming, load_payable, load_wished
from payments.edge import Asked, Pay, ReadPayments, answer, unknown_customer
from payments.methods.data_files import CURRENCIES
from payments.methods.domain.methods import Method, cannot_pay, payable_by, pays_in, unusable
from payments.methods.store.methods import list_methods
from payments.own import Own
from payments.projections.domain import OpenInvoice
from payments.projections.store import available_credit, customer_known

router = APIRouter(route_class=StrictRoute)


class QuoteRequest(Asked):
    """Choose what to pay: `invoices`; or `all` of a `currency`; or an `amount_minor` of a `currency`, oldest first.

    With `use_credit`, the customer's unapplied credit pays before the method. If it pays everything, `method_id` may be
    left out.
    """

    customer_id: Annotated[str, Field(max_length=36)]
    method_id: Annotated[str, Field(max_length=36)] | None = None
    invoices: InvoicesToPay | None = Field(None, min_length=1)
    all: StrictBool = False
    amount_minor: PositiveMinor | None = None
    currency: Currency | None = None
    use_credit: StrictBool = False


@router.post("/v1/quotes", status_code=201, response_model=QuoteView, tags=["payments"])
async def quote(asked: QuoteRequest, request: Request, identity: Pay) -> Response:
    """Preview a payment: allocations, surcharge and total, valid for 15 minutes and for one confirmation."""
    running, reads = running_of(request), running_of(request).reads(identity)
    choice, method, invoices = await chosen(reads, asked, identity)
    made = await make(running, reads, asked.customer_id, method, choice, invoices, use_credit=asked.use_credit)
    if isinstance(made, Refusal):
        raise await refused(reads, asked, choice, method, made)
    return answer(orjson.dumps(view_of_quote(made, invoices)), 201)


async def chosen(
    reads: Reads, asked: QuoteRequest, identity: Identity
) -> tuple[Choice, Method | None, dict[str, OpenInvoice]]:
    """The choice of the request, its method and its invoices, or a problem with them."""
    if not is_id(asked.customer_id) or not identity.sees(asked.customer_id):
        raise problem_of(unknown_customer(asked.customer_id))
    choice = _choice(asked)
    if isinstance(choice, Refusal):
        raise problem_of(choice)
    method, invoices = await _chosen(reads, asked, choice)
    other = next((one for one in invoices.values() if asked.currency not in (None, one.currency)), None)
    if other is not None:
        detail = f"Invoice {other.number} is in {other.currency}, the quote was to be in {asked.currency}."
        raise problem_of(Refusal("other-currency", detail, "currency"))
    if method is None and asked.method_id is not None:
        detail = f"This customer has no payment method {asked.method_id}."
        raise problem_of(Refusal("unknown-method", detail, "method_id"))
    return choice, method, invoices


async def refused(
    reads: Reads, asked: QuoteRequest, choice: Choice, method: Method | None, refusal: Refusal
) -> Problem:
    """The problem of a choice that can't be quoted, and how to free its invoices."""
    if method is None and not await customer_known(reads, asked.customer_id):
        refusal = unknown_customer(asked.customer_id)
    named = [wish.invoice_id for wish in choice.wishes] if isinstance(choice, Wishes) else []
    hint, more = await way_out(reads, asked.customer_id, named) if refusal.code in NOT_PAYABLE else ("", {})
    return problem_of(refusal.adding(hint), **more)


@router.get("/v1/quotes/{quote_id}", response_model=QuoteView, tags=["payments"])
async def get_quote(quote_id: str, request: Request, identity: ReadPayments) -> Response:
    """Show a quote as it was made, also the quote that a cancelled payment has as `new_quote_id`."""
    reads = running_of(request).reads(identity)
    found = await load_confirming(reads, quote_id, identity.customer_id) if is_id(quote_id) else None
    if found is None:
        raise not_found("quote", quote_id)
    return answer(orjson.dumps(view_of_quote(found.quote, found.invoices)), 200)


NOT_PAYABLE = {"payment-under-way", "nothing-payable", "more-than-payable"}


async def way_out(reads: Reads, customer_id: str, invoices: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Describe how to free invoices that a payment holds until its payer acts, and name that payment."""
    found = await waiting_for_payer(reads, customer_id, list(filter(is_id, invoices)))
    if found is None:
        return "", {}
    hint = f" Payment {found} waits for the payer: confirm it at the bank, or let go of it (its /cancel)."
    return hint, {"payment_id": found}


def _choice(asked: QuoteRequest) -> Choice | Refusal:
    """Return the one choice of the request."""
    if [asked.invoices is not None, asked.all, asked.amount_minor is not None].count(True) != 1:
        return Refusal("choose-one", "Send one of invoices, all or amount_minor: what is to be paid.", "invoices")
    if asked.invoices is not None:
        return Wishes(tuple(Wish(each.invoice_id, each.amount_minor) for each in asked.invoices))
    if asked.currency is None:
        return Refusal("currency-missing", "Send the currency too: currencies are never added up.", "currency")
    return Everything(asked.currency) if asked.all else Sum(Money(asked.amount_minor or 0, asked.currency))


async def _chosen(reads: Reads, asked: QuoteRequest, choice: Choice) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """Load the method, if one is named, and the invoices of the choice."""
    if asked.method_id is not None and not is_id(asked.method_id):
        return None, {}
    if isinstance(choice, Wishes):
        return await _wished(reads, asked.method_id, asked.customer_id, choice)
    return await load_oldest(reads, asked.method_id, asked.customer_id, asked.currency or "")


async def load_oldest(
    reads: Reads, method_id: str | None, customer_id: str, currency: str
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """Load the method, and the payable invoices of a currency: one more than a payment may hold."""
    return await load_payable(reads, method_id, customer_id, currency, MOST_PARTS + 1)


async def _wished(
    reads: Reads, method_id: str | None, customer_id: str, choice: Wishes
) -> tuple[Method | None, dict[str, OpenInvoice]]:
    """Load the method and the named invoices, and wait for news of them that must be on its way.

    An unknown invoice may have been issued just now. One in progress that no payment holds was freed just now.
    """
    method: Method | None = None
    invoices: dict[str, OpenInvoice] = {}
    wanted = sorted({wish.invoice_id for wish in choice.wishes if is_id(wish.invoice_id)})

    async def arrived() -> bool:
        nonlocal method, invoices
        method, invoices = await load_wished(reads, method_id, customer_id, wanted)
        if method is None and method_id is not None:
            return True
        held = [invoice.id for invoice in invoices.values() if invoice.status == "in_progress"]
        return len(invoices) == len(wanted) and (not held or await all_held(reads, customer_id, held))

    await patiently(arrived)
    return method, invoices


def currency_of(choice: Choice, invoices: Mapping[str, OpenInvoice]) -> str:
    match choice:
        case Everything(currency):
            return currency
        case Sum(money):
            return money.currency
        case Wishes():
            return next((one.currency for one in invoices.values()), "")


async def make(
    running: Running[Own],
    reads: Reads,
    customer_id: str,
    method: Method | None,
    choice: Choice,
    invoices: dict[str, OpenInvoice],
    *,
    use_credit: bool = False,
) -> Quote | Refusal:
    """Make and save a quote, or return the first reason against it."""
    currency = currency_of(choice, invoices)
    credit = await available_credit(reads, customer_id, currency) if use_credit else 0
    made = preview(running, customer_id, method, choice, invoices, credit)
    if isinstance(made, Refusal):
        return made
    against_currency = await wrong_currency(running, reads, method, made) if method else None
    if against_currency is not None:
        raise against_currency
    await running.units.together(add_quotes, made, single=True)
    return made


def preview(
    running: Running[Own],
    customer_id: str,
    method: Method | None,
    choice: Choice,
    invoices: dict[str, OpenInvoice],
    credit: int,
) -> Quote | Refusal:
    """Make a quote in any currency, or return the first reason against it. Nothing is saved."""
    provider, today = running.own.provider, running.clock.today()
    currency = currency_of(choice, invoices)
    against_method = unusable(method, today) if method else None
    if against_method is not None:
        return against_method
    terms = terms_for(rules_of(running), method, currency, today) if method else NO_SURCHARGE
    made = make_quote(
        method, choice, invoices, terms, running.clock.now(), provider.charges_in(currency), credit,
        customer_id=customer_id,
    )  # fmt: skip
    if isinstance(made, Refusal):
        return made
    against = provider.accepts(made.total.minor, made.amount.currency) if made.total else None
    if against:
        field = {"invoices": "invoices", "all": "currency", "amount": "amount_minor"}[made.choice]
        values: dict[str, str | int] = {"total_minor": made.total.minor, "currency": made.total.currency}
        detail = f"The provider can't charge this: {against}."
        return Refusal("amount-not-chargeable", detail, field, values=values)
    return made


async def wrong_currency(running: Running[Own], reads: Reads, method: Method, made: Quote) -> Problem | None:
    """Raise a problem if the method can't pay in the quote's currency. It names the methods that can."""
    currency, today = made.amount.currency, running.clock.today()
    if not made.total or pays_in(CURRENCIES, method, currency, today):
        return None
    saved = await list_methods(reads, made.customer_id)
    refusal = cannot_pay(CURRENCIES, method, currency, today, saved)
    able = [
        {"id": one.id, "kind": one.kind, "brand": one.brand, "last4": one.last4}
        for one in payable_by(CURRENCIES, saved, currency, today)
    ]
    return problem_of(refusal, currency=currency, methods=able) if refusal else None
