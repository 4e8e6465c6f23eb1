"""Webhooks of the provider."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from chassis.http.problems import problem_of
from chassis.running import running_of
from contracts.refusals import Refusal
from payments.collecting import reconciling
from payments.edge import answer, provider_away
from payments.providers import BadSignature, ProviderUnknown

router = APIRouter()


@router.post("/v1/webhooks/stripe", status_code=200, tags=["webhooks"], include_in_schema=False)
async def take_webhook(request: Request) -> Response:
    """Take a webhook of the provider. An unsigned, changed or old one is refused."""
    running = running_of(request)
    provider = running.own.provider
    try:
        event = provider.read_webhook(
            await request.body(), request.headers.get("stripe-signature", ""), running.clock.now()
        )
    except BadSignature:
        detail = "The signature does not fit, or is older than five minutes."
        raise problem_of(Refusal("bad-signature", detail), 400) from None
    try:
        await reconciling.take_event(running.units, provider, event)
    except ProviderUnknown:
        raise provider_away() from None
    return answer(b"{}", 200)
