"""Payment methods over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, StrictBool

from chassis.http.bodies import StrictRoute
from chassis.http.identity import Identity
from chassis.http.problems import not_found
from chassis.service import Running, cause_of, running_of
from contracts.ids import is_id, new_id
from payments import messages, store
from payments.api.edge import Asked, ReadMethods, WriteMethods, answer, patiently, problem_of, provider_away
from payments.domain import Method, Refusal
from payments.providers import Provider, ProviderRefused, ProviderUnknown

router = APIRouter(route_class=StrictRoute)


class MethodRequest(Asked):
    provider_token: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_]+$")]
    accept_terms: StrictBool


class MethodView(BaseModel):
    id: str
    customer_id: str
    kind: Literal["card", "bank_account"]
    funding: Literal["credit", "debit", "prepaid", "unknown"] | None
    brand: str | None
    last4: str | None


class Methods(BaseModel):
    items: list[MethodView]


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
    if not mine or not await patiently(lambda: store.customer_known(running.pool, customer_id)):
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
        raise problem_of(Refusal("terms-not-accepted", detail, "accept_terms"))
    method = await _attach(running, customer_id, asked.provider_token)
    async with running.units.begin(cause_of(request, identity)) as work:
        await store.add_method(work, method)
        work.emit(messages.method_added(method, work.now))
    return answer(orjson.dumps(_method_view(method)), 201, seen=f"{method.id}:1")


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
        raise problem_of(
            Refusal("method-refused", f"The provider refused this method: {refused}", "provider_token")
        ) from None
    except ProviderUnknown:
        raise provider_away() from None
    return Method(
        method_id, customer_id, details.provider_id, details.kind, details.funding, details.brand, details.last4
    )


@router.get("/v1/customers/{customer_id}/payment-methods", response_model=Methods, tags=["payment methods"])
async def list_methods(customer_id: str, request: Request, identity: ReadMethods) -> Response:
    running = running_of(request)
    await _visible_customer(running, customer_id, identity)
    items = [_method_view(method) for method in await store.list_methods(running.pool, customer_id)]
    return answer(orjson.dumps({"items": items}), 200)
