"""Payment methods over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import asyncpg
import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt

from chassis import logs
from chassis.db.reads import Reads
from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity, need_fresh
from chassis.http.problems import not_found, problem_of
from chassis.http.seen import patiently
from chassis.running import Running, cause_of, running_of
from chassis.tasks import queue as tasks
from contracts.ids import is_id, new_id
from contracts.invoicing import Currency
from contracts.refusals import Refusal
from payments.edge import Asked, ReadMethods, WebAddress, WriteMethods, answer, provider_away
from payments.methods import setting_up
from payments.methods.data_files import CONSENT_TEXTS, CURRENCIES
from payments.methods.domain.consents import Witness, to_method
from payments.methods.domain.methods import Method, currencies_of, make_default, pays_in, remove, unusable
from payments.methods.store import methods as method_store
from payments.methods.store import setups
from payments.methods.store.consents import add_consents
from payments.methods.store.methods import (
    find_provider_customer,
    keep_provider_customer,
    load_method,
    lock_methods,
    method_needed,
)
from payments.methods.store.setups import Setup, find_setup, load_setup, open_setup
from payments.own import Own
from payments.projections.store import customer_known, lock_customer
from payments.providers import MethodKind, Provider, ProviderRefused, ProviderUnknown, SetupOutcome

router = APIRouter(route_class=StrictRoute)
Deposit = Annotated[StrictInt, Field(ge=1, le=99)]
PATH = "/v1/customers/{customer_id}/payment-methods"


class MethodRequest(Asked):
    """`save` false: the method is for one payment and is removed after it."""

    provider_token: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_]+$")]
    accept_terms: StrictBool
    save: StrictBool = True


class MethodChange(Asked):
    is_default: Annotated[Literal[True], Field(description="`true`: it replaces the customer's default")]


class SetupRequest(Asked):
    """`return_url`: where the provider's page leads back to. `save` false: the method is for one payment."""

    return_url: WebAddress
    kinds: Annotated[tuple[MethodKind, ...], Field(min_length=1, max_length=2)] = ("card", "bank_account")
    save: StrictBool = True
    accept_terms: StrictBool


class DepositsRequest(Asked):
    """Send one of the two: both amounts in minor units, or the code that one of the deposits has."""

    amounts_minor: list[Deposit] | None = Field(None, min_length=2, max_length=2)
    code: str | None = Field(None, min_length=6, max_length=6, pattern=r"^[A-Za-z0-9]+$")


class MethodView(BaseModel):
    """`expires` is like 2030-04; `expires_soon`: within 30 days. `usable`: a quote accepts it now.

    `currencies`: those in which it can pay; null: all currencies of the provider.
    """

    id: str
    customer_id: str
    kind: Literal["card", "bank_account"]
    funding: Literal["credit", "debit", "prepaid", "unknown"] | None
    brand: str | None
    last4: str | None
    expires: str | None
    expiry_warning: Literal["expired", "expires_soon"] | None
    billing_country: str | None
    billing_state: str | None
    billing_postal_code: str | None
    saved: bool
    is_default: bool
    verification: Literal["verified", "pending", "failed"]
    disabled_at: datetime | None
    disabled_reason: str | None
    usable: bool
    currencies: list[str] | None


class Methods(BaseModel):
    items: list[MethodView]


class SetupView(BaseModel):
    """A `complete` setup has a `method_id`. The `verification` of a bank account may still be pending."""

    id: str
    url: str | None
    status: Literal["begun", "open", "complete", "failed", "expired"]
    reason: str | None
    method_id: str | None


def _method_view(method: Method, running: Running[Own]) -> dict[str, Any]:
    today = running.clock.today()
    only = currencies_of(CURRENCIES, method.kind, today)
    return {
        "id": method.id,
        "customer_id": method.customer_id,
        "kind": method.kind,
        "funding": method.funding,
        "brand": method.brand,
        "last4": method.last4,
        "expires": f"{method.exp_year}-{method.exp_month:02}" if method.exp_year else None,
        "expiry_warning": method.warning(today),
        "billing_country": method.country,
        "billing_state": method.state,
        "billing_postal_code": method.postal_code,
        "saved": method.saved,
        "is_default": method.is_default,
        "verification": method.verification,
        "disabled_at": method.disabled_at,
        "disabled_reason": method.disabled_reason,
        "usable": unusable(method, today) is None,
        "currencies": list(only.currencies) if only else None,
    }


def _answer(method: Method, running: Running[Own], status: int) -> Response:
    return answer(orjson.dumps(_method_view(method, running)), status, seen=f"{method.id}:{method.sequence}")


def witness_of(request: Request, identity: Identity) -> Witness:
    """Who makes the request, and from which address. Only the gateway sets that address; it removes a caller's own."""
    address = request.headers.get("paidup-client-address") or None
    secret = running_of(request).settings.address_secret.get_secret_value()
    return Witness(identity.actor, logs.request_id.get() or None, address, secret)


async def visible_customer(running: Running[Own], customer_id: str, identity: Identity) -> None:
    reads, mine = running.reads(identity), is_id(customer_id) and identity.sees(customer_id)
    if not mine or not await patiently(lambda: customer_known(reads, customer_id)):
        raise not_found("customer", customer_id)


def _accepted(accept_terms: bool) -> None:
    if not accept_terms:
        detail = "The terms must be accepted to keep a payment method: send accept_terms true."
        raise problem_of(Refusal("terms-not-accepted", detail, "accept_terms"))


KNOWN: dict[int | str, dict[str, Any]] = {200: {"model": MethodView, "description": "The method is there already"}}


@router.post(PATH, status_code=201, response_model=MethodView, responses=KNOWN, tags=["payment methods"])
async def add_method(customer_id: str, asked: MethodRequest, request: Request, identity: WriteMethods) -> Response:
    """Add a method by the provider's token. Card and account numbers never reach Paidup."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    need_fresh(identity, running.clock.now())
    _accepted(asked.accept_terms)
    method = await _attach(running, running.reads(identity), customer_id, asked)
    try:
        async with running.units.begin(cause_of(request, identity)) as work:
            await lock_customer(work, customer_id)
            kept = await setting_up.add(method, work)
            version, who = CONSENT_TEXTS["terms"].version, witness_of(request, identity)
            consent = to_method("terms", customer_id, version, who, work.now, method_id=kept.id)
            await add_consents(work.connection, [consent])
    except asyncpg.UniqueViolationError:
        detail = "This method was removed. To use it again, let the payer give it anew: that makes a new token."
        raise problem_of(Refusal("method-removed", detail, "provider_token")) from None
    return _answer(kept, running, 201 if kept.id == method.id else 200)


async def _attach(running: Running[Own], reads: Reads, customer_id: str, asked: MethodRequest) -> Method:
    if asked.provider_token.isdigit():
        detail = (
            "A number of a card or account must never come here. Send the token that the provider's page gave for it."
        )
        raise problem_of(Refusal("number-for-token", detail, "provider_token"))
    provider = running.own.provider
    method_id = new_id()
    try:
        whose = await _provider_customer(running, reads, customer_id)
        details = await provider.attach_method(whose, asked.provider_token, method_id)
    except ProviderRefused as refused:
        raise problem_of(
            Refusal("method-refused", f"The provider refused this method: {refused}", "provider_token")
        ) from None
    except ProviderUnknown:
        raise provider_away() from None
    return setting_up.method_from(details, customer_id, saved=asked.save, method_id=method_id)


async def _provider_customer(running: Running[Own], reads: Reads, customer_id: str) -> str:
    provider = running.own.provider
    whose = await find_provider_customer(reads, customer_id)
    if whose is None:
        whose = await provider.create_customer(customer_id)
        await keep_provider_customer(running.pool, customer_id, whose)
    return whose


@router.get(PATH, response_model=Methods, tags=["payment methods"])
async def list_methods(
    customer_id: str, request: Request, identity: ReadMethods, currency: Currency | None = None
) -> Response:
    """List saved methods, the default first; with `currency`, only methods that can pay in it."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    known, today = await method_store.list_methods(running.reads(identity), customer_id), running.clock.today()
    offered = [one for one in known if currency is None or pays_in(CURRENCIES, one, currency, today)]
    items = [_method_view(method, running) for method in offered]
    return answer(orjson.dumps({"items": items}), 200)


@router.post(f"{PATH}/setup", status_code=201, response_model=SetupView, tags=["payment methods"])
async def begin_setup(customer_id: str, asked: SetupRequest, request: Request, identity: WriteMethods) -> Response:
    """Get a page of the provider on which the payer enters a card or bank account with its billing address."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    need_fresh(identity, running.clock.now())
    _accepted(asked.accept_terms)
    setup_id, provider = new_id(), running.own.provider
    async with running.units.begin(cause_of(request, identity)) as work:
        await setups.begin_setup(work, setup_id, customer_id, asked.return_url, asked.kinds, saved=asked.save)
        body, due_at = {"since": work.now.isoformat()}, work.now + timedelta(seconds=5)
        await tasks.enqueue(work, "look-at-setups", setup_id, body, due_at=due_at)
        version, who = CONSENT_TEXTS["terms"].version, witness_of(request, identity)
        consent = to_method("terms", customer_id, version, who, work.now, setup_id=setup_id)
        await add_consents(work.connection, [consent])
    try:
        whose = await _provider_customer(running, running.reads(identity), customer_id)
        page = await provider.begin_setup(whose, tuple(dict.fromkeys(asked.kinds)), asked.return_url, setup_id)
    except ProviderRefused as refused:
        raise problem_of(Refusal("setup-refused", f"The provider refused: {refused}", "return_url")) from None
    except ProviderUnknown:
        raise provider_away() from None
    await open_setup(running.pool, setup_id, page.id, page.url)
    view = {"id": setup_id, "url": page.url, "status": "open", "reason": None, "method_id": None}
    return answer(orjson.dumps(view), 201)


@router.get(f"{PATH}/setup/{{setup_id}}", response_model=SetupView, tags=["payment methods"])
async def get_setup(customer_id: str, setup_id: str, request: Request, identity: ReadMethods) -> Response:
    """Show the outcome of a visit to the provider's page. While it is open, the provider is asked."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    reads = running.reads(identity)
    setup = await load_setup(reads, setup_id, customer_id) if is_id(setup_id) else None
    if setup is None:
        raise not_found("setup", setup_id)
    if setup.state == "open":
        try:
            await setting_up.look(running.units, running.own.provider, setup)
            setup = await load_setup(reads, setup_id, customer_id) or setup
        except ProviderUnknown:
            pass  # the webhook or the next request shows it
    view = {
        "id": setup.id,
        "url": setup.url if setup.state == "open" else None,
        "status": setup.state,
        "reason": setup.reason,
        "method_id": setup.method_id,
    }
    return answer(orjson.dumps(view), 200)


@router.patch(f"{PATH}/{{method_id}}", response_model=MethodView, tags=["payment methods"])
async def change_method(
    customer_id: str, method_id: str, asked: MethodChange, request: Request, identity: WriteMethods
) -> Response:
    """Make a method the default."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    if not is_id(method_id):
        raise not_found("payment method", method_id)
    async with running.units.begin(cause_of(request, identity)) as work:
        await lock_customer(work, customer_id)
        methods = await lock_methods(work, customer_id)
        changing = make_default(methods, method_id, running.clock.today())
        if isinstance(changing, Refusal):
            if changing.code == "unknown-method":
                raise not_found("payment method", method_id)
            raise problem_of(changing)
        for method in changing:
            await setting_up.save(method, work)
    now = {method.id: method for method in [*methods, *changing]}
    return _answer(now[method_id], running, 200)


@router.delete(f"{PATH}/{{method_id}}", status_code=204, tags=["payment methods"])
async def remove_method(customer_id: str, method_id: str, request: Request, identity: WriteMethods) -> Response:
    """Remove a method. It is in no list any more, and the provider forgets it.

    The answer is 409 while autopay needs it or a payment by it is under way.
    """
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    if not is_id(method_id):
        raise not_found("payment method", method_id)
    async with running.units.begin(cause_of(request, identity)) as work:
        await lock_customer(work, customer_id)
        method = next((one for one in await lock_methods(work, customer_id) if one.id == method_id), None)
        if method is None:
            raise not_found("payment method", method_id)
        autopay, under_way = await method_needed(work.connection, method_id)
        gone = remove(method, autopay_needs=autopay, under_way=under_way, now=work.now)
        if isinstance(gone, Refusal):
            raise problem_of(gone)
        await setting_up.take_away(gone, work)
    return Response(status_code=204)


@router.post(f"{PATH}/{{method_id}}/verify", response_model=MethodView, tags=["payment methods"])
async def verify_method(
    customer_id: str, method_id: str, asked: DepositsRequest, request: Request, identity: WriteMethods
) -> Response:
    """Verify a bank account by the two small deposits on its statement."""
    running = running_of(request)
    await visible_customer(running, customer_id, identity)
    if (asked.amounts_minor is None) == (asked.code is None):
        raise problem_of(
            Refusal("choose-one", "Send amounts_minor or code: what the statement shows.", "amounts_minor")
        )
    reads = running.reads(identity)
    method = await load_method(reads, customer_id, method_id) if is_id(method_id) else None
    if method is None or method.removed_at is not None:
        raise not_found("payment method", method_id)
    if method.verification == "verified":
        return _answer(method, running, 200)
    setup = await find_setup(reads, method.setup_reference) if method.setup_reference else None
    if method.verification == "failed" or setup is None:
        raise problem_of(_failed())
    outcome = await _verify(running.own.provider, setup, asked)
    await setting_up.save_outcome(running.units, setup, outcome, cause_of(request, identity))
    if outcome.state == "failed":
        raise problem_of(_failed())
    return _answer(await load_method(reads, customer_id, method_id) or method, running, 200)


async def _verify(provider: Provider, setup: Setup, asked: DepositsRequest) -> SetupOutcome:
    amounts = (asked.amounts_minor[0], asked.amounts_minor[1]) if asked.amounts_minor else None
    try:
        return await provider.verify_deposits(setup.provider_id or "", amounts_minor=amounts, code=asked.code)
    except ProviderRefused as refused:
        if refused.code == "deposits_exhausted":
            return SetupOutcome("failed", reason=refused.code)
        field = "amounts_minor" if amounts else "code"
        if refused.code == "deposits_wrong":
            detail = "That is not what was deposited. Look at the statement again: the tries are counted."
            raise problem_of(Refusal("deposits-wrong", detail, field)) from None
        raise problem_of(Refusal("deposits-refused", f"The provider refused: {refused}", field)) from None
    except ProviderUnknown:
        raise provider_away() from None


def _failed() -> Refusal:
    detail = "This bank account could not be verified and can't be any more. Add it again, or another one."
    return Refusal("verification-failed", detail, conflict=True)
