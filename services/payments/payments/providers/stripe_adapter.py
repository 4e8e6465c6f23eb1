"""Stripe through its official SDK; the base address is a setting, so the same code talks to its sandboxes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import aiohttp

from payments.providers import (
    BadSignature,
    Charge,
    ChargeRequest,
    MethodDetails,
    MethodKind,
    Payout,
    PayoutLine,
    ProviderDown,
    ProviderEvent,
    ProviderRefused,
    ProviderUnknown,
    RefundRequest,
    SetupOutcome,
    SetupPage,
    TakenBack,
)
from payments.providers.stripe_answers import (
    EVENTS,
    NO_SENSE,
    attempt_of,
    charge,
    disputed,
    event,
    event_or_not,
    method,
    refunded,
    setup,
)
from payments.providers.stripe_money import payout, payout_line, payout_or_none
from payments.providers.stripe_units import charged_in, refusal, to_stripe

if TYPE_CHECKING:
    import stripe

Json = dict[str, Any]
Found = TypeVar("Found")

_WHOLE = ("latest_charge.balance_transaction",)
_TOLERANCE = timedelta(seconds=300)
_CLOCK_SKEW = timedelta(seconds=60)
_PAGE = 100


class StripeAdapter:
    """`payments.providers.Provider` on Stripe's API.

    `timeout` is in seconds, for a whole call; nothing is retried here. Importing the SDK takes most of a second, so it
    is imported at the first call. A process that only reads webhooks never imports it.
    """

    def __init__(
        self, *, url: str, key: str, webhook_secret: str, timeout: float = 10.0, connections: int = 64
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._secret = webhook_secret.encode()
        self._timeout = timeout
        self._connections = connections
        self._client: stripe.StripeClient | None = None
        self._http: stripe.AIOHTTPClient | None = None
        self._opening = asyncio.Lock()

    async def create_customer(self, customer_id: str) -> str:
        found = await self._post("/v1/customers", f"customer-{customer_id}", {"metadata": {"customer_id": customer_id}})
        return _read(lambda customer: str(customer["id"]), found)

    async def attach_method(self, provider_customer: str, token: str, idempotency_key: str) -> MethodDetails:
        path = f"/v1/payment_methods/{_safe(token)}/attach"
        return _read(method, await self._post(path, idempotency_key, {"customer": provider_customer}))

    async def begin_setup(
        self, provider_customer: str, kinds: tuple[MethodKind, ...], return_url: str, reference: str
    ) -> SetupPage:
        ours = {"setup_id": reference}
        params = {
            "mode": "setup",
            "customer": provider_customer,
            "payment_method_types": ["card" if kind == "card" else "us_bank_account" for kind in kinds],
            "billing_address_collection": "required",
            "success_url": return_url,
            "cancel_url": return_url,
            "metadata": ours,
            "setup_intent_data": {"metadata": ours},
        }
        session = await self._post("/v1/checkout/sessions", f"setup-{reference}", params)
        return _read(lambda found: SetupPage(found["id"], found["url"] or return_url), session)

    async def setup_outcome(self, setup_page_id: str) -> SetupOutcome:
        return _read(setup, await self._session(setup_page_id))

    async def verify_deposits(
        self, setup_page_id: str, *, amounts_minor: tuple[int, int] | None = None, code: str | None = None
    ) -> SetupOutcome:
        """Each guess has its own key, so that the same guess sent again counts once."""
        intent = _read(lambda found: str(found["setup_intent"]["id"]), await self._session(setup_page_id))
        told: Json = {"descriptor_code": code} if amounts_minor is None else {"amounts": list(amounts_minor)}
        guess = "-".join(map(str, amounts_minor)) if amounts_minor is not None else code
        path = f"/v1/setup_intents/{_safe(intent)}/verify_microdeposits"
        try:
            await self._post(path, f"verify-{intent}-{guess}", told)
        except ProviderRefused as refused:
            raise ProviderRefused(str(refused), _DEPOSITS.get(refused.code or "", refused.code)) from refused
        return await self.setup_outcome(setup_page_id)

    async def detach_method(self, provider_method: str) -> None:
        path = f"/v1/payment_methods/{_safe(provider_method)}"
        try:
            await self._post(f"{path}/detach", f"detach-{provider_method}", {})
        except ProviderRefused as refused:
            if refused.code == "resource_missing" or (await self._get(path, {})).get("customer") is None:
                return
            raise

    async def _session(self, identifier: str) -> Json:
        expand = ["setup_intent.payment_method"]
        return await self._get(f"/v1/checkout/sessions/{_safe(identifier)}", {"expand": expand})

    async def charge(self, request: ChargeRequest) -> Charge:
        params = {
            "amount": to_stripe(request.amount_minor, request.currency),
            "currency": request.currency.lower(),
            "customer": request.provider_customer,
            "payment_method": request.provider_method,
            "payment_method_types": ["card", "us_bank_account"],
            "confirm": True,
            **_presence(request),
            "metadata": {"attempt_id": request.attempt_id, "payment_id": request.payment_id},
            "expand": list(_WHOLE),
        }
        try:
            return _read(charge, await self._post("/v1/payment_intents", request.attempt_id, params))
        except _DeclinedError as decline:
            return _read(charge, decline.intent)

    async def get_charge(self, provider_id: str) -> Charge:
        intent = await self._get(f"/v1/payment_intents/{_safe(provider_id)}", {"expand": list(_WHOLE)})
        try:
            back = await self._taken_back(intent)
            return _read(lambda found: charge(found, back=back), intent)
        except ProviderUnknown:
            if attempt_of(intent) is not None:
                raise
            # Another system of the same account may make charges that can't be read here. No payment waits for them.
            raise ProviderRefused("a charge of another system", "resource_missing") from None

    async def find_charge(self, provider_customer: str, attempt_id: str, since: datetime) -> Charge | None:
        """Lists the customer's intents since then, less a minute for clocks that differ."""
        params: Json = {
            "customer": provider_customer,
            "created": {"gte": int((since - _CLOCK_SKEW).timestamp())},
            "limit": _PAGE,
        }
        while True:
            page = await self._get("/v1/payment_intents", params)
            for intent in page["data"]:
                if attempt_of(intent) == attempt_id:
                    return await self.get_charge(intent["id"])
            if not page["has_more"]:
                return None
            params["starting_after"] = page["data"][-1]["id"]

    async def cancel_charge(self, provider_id: str) -> Charge:
        path = f"/v1/payment_intents/{_safe(provider_id)}/cancel"
        try:
            return _read(charge, await self._post(path, f"cancel-{provider_id}", {"expand": list(_WHOLE)}))
        except ProviderRefused as refused:
            if refused.code != "payment_intent_unexpected_state":
                raise
            return await self.get_charge(provider_id)

    async def refund(self, request: RefundRequest) -> TakenBack:
        params = {
            "payment_intent": request.charge_id,
            "amount": to_stripe(request.amount_minor, request.currency),
            "metadata": {"refund_id": request.refund_id},
        }
        return _read(refunded, await self._post("/v1/refunds", request.refund_id, params))

    async def payouts_since(self, cursor: str | None, limit: int) -> list[Payout]:
        params: Json = {"limit": min(limit, _PAGE)}
        if cursor is not None:
            page = await self._get("/v1/payouts", {**params, "ending_before": cursor})
            found = page["data"][::-1]
        else:
            found = (await self._oldest("/v1/payouts", params))[: params["limit"]]
        return [payout for each in found if (payout := payout_or_none(each))]

    async def get_payout(self, payout_id: str) -> Payout:
        return _read(payout, await self._get(f"/v1/payouts/{_safe(payout_id)}", {}))

    async def payout_lines(self, payout_id: str) -> list[PayoutLine]:
        params = {"payout": payout_id, "expand": ["data.source"]}
        booked = await self._all("/v1/balance_transactions", params)
        return [_read(payout_line, each) for each in reversed(booked) if each["type"] != "payout"]

    async def events_since(self, cursor: str | None, limit: int) -> list[ProviderEvent]:
        """Stripe keeps events for 30 days: a cursor older than that begins again at the oldest."""
        params: Json = {"types": list(EVENTS), "limit": min(limit, _PAGE)}
        if cursor is not None:
            try:
                page = await self._get("/v1/events", {**params, "ending_before": cursor})
                return [event_or_not(told) for told in reversed(page["data"])]
            except ProviderRefused as refused:
                if refused.code != "resource_missing":
                    raise
        oldest = await self._oldest("/v1/events", params)
        return [event_or_not(told) for told in oldest[: params["limit"]]]

    async def get_event(self, event_id: str) -> ProviderEvent:
        return event_or_not(await self._get(f"/v1/events/{_safe(event_id)}", {}))

    def read_webhook(self, body: bytes, signature: str, now: datetime) -> ProviderEvent:
        _verify(body, signature, self._secret, now)
        try:
            return event(json.loads(body))
        except NO_SENSE as fault:
            raise BadSignature("the webhook is signed, but no event") from fault

    def accepts(self, amount_minor: int, currency: str) -> str | None:
        return refusal(amount_minor, currency)

    def charges_in(self, currency: str) -> int:
        return charged_in(currency)

    async def close(self) -> None:
        client, self._client, self._http, http = self._client, None, None, self._http
        if client is not None and http is not None:
            await http.close_async()

    async def _taken_back(self, intent: Json) -> tuple[TakenBack, ...]:
        """Refunds and disputes of an intent whose money was taken, oldest first."""
        latest = intent.get("latest_charge")
        if intent["status"] != "succeeded" or not isinstance(latest, dict):
            return ()
        params: Json = {"payment_intent": intent["id"]}
        refunds = await self._all("/v1/refunds", params)
        disputes = await self._all("/v1/disputes", params) if latest.get("disputed") else []
        back = [_read(refunded, each) for each in refunds] + [_read(disputed, each) for each in disputes]
        return tuple(sorted((each for each in reversed(back) if each is not None), key=lambda each: each.at))

    async def _oldest(self, path: str, params: Json) -> list[Json]:
        """The oldest of a list, oldest first: a page or more."""
        newest_first: list[Json] = []
        after: Json = {}
        while True:
            page = await self._get(path, {**params, **after})
            newest_first += page["data"]
            if not page["has_more"]:
                return newest_first[::-1]
            newest_first = newest_first[-_PAGE:]
            after = {"starting_after": page["data"][-1]["id"]}

    async def _all(self, path: str, params: Json) -> list[Json]:
        """All of a list, newest first."""
        found: list[Json] = []
        after: Json = {}
        while True:
            page = await self._get(path, {**params, "limit": _PAGE, **after})
            found += page["data"]
            if not page["has_more"]:
                return found
            after = {"starting_after": page["data"][-1]["id"]}

    async def _get(self, path: str, params: Json) -> Json:
        return await self._call("get", path, params)

    async def _post(self, path: str, key: str, params: Json) -> Json:
        return await self._call("post", path, {**params, "idempotency_key": key})

    async def _call(self, verb: str, path: str, params: Json) -> Json:
        client = self._client or await self._open()
        from stripe import StripeError

        try:
            answer = await client.raw_request_async(verb, path, **params)
        except StripeError as error:
            _raise(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderUnknown(f"the reply was lost: {error!r}") from error
        return cast(Json, answer.data)

    async def _open(self) -> stripe.StripeClient:
        """The client, made on first use; the SDK is imported beside the event loop."""
        async with self._opening:
            if self._client is None:
                sdk: Any = await asyncio.to_thread(import_module, "stripe")
                logging.getLogger("stripe").setLevel(logging.WARNING)  # otherwise it logs every request
                sdk.enable_telemetry = False
                tls = ssl.create_default_context(cafile=sdk.ca_bundle_path) if self._url.startswith("https") else True
                self._http = sdk.AIOHTTPClient(
                    timeout=aiohttp.ClientTimeout(total=self._timeout),
                    connector=aiohttp.TCPConnector(limit=self._connections, ssl=tls),
                )
                self._client = sdk.StripeClient(
                    self._key, base_addresses={"api": self._url}, http_client=self._http, max_network_retries=0
                )
            return cast("stripe.StripeClient", self._client)


class _DeclinedError(Exception):
    """The card said no; Stripe's answer holds the intent."""

    def __init__(self, intent: Json) -> None:
        super().__init__("declined")
        self.intent = intent


def _read(parse: Callable[[Json], Found], answer: Json) -> Found:
    """Translate an answer. If it makes no sense, the outcome of the call is unknown."""
    try:
        return parse(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise ProviderUnknown(f"the answer makes no sense: {fault!r}") from fault


def _raise(error: stripe.StripeError) -> NoReturn:
    """Raise our error for Stripe's error.

    An error is final only if Stripe says that this request was wrong. A wrong API key, too many requests, or another
    body under a used key don't show the outcome of an earlier call of the same attempt. It stays unknown.
    """
    status = error.http_status
    fault: Json = ((error.json_body or {}).get("error") or {}) if isinstance(error.json_body, dict) else {}
    if status == 402 and isinstance(intent := fault.get("payment_intent"), dict):
        raise _DeclinedError(intent) from error
    message = f"{fault.get('message') or error}"
    if isinstance(error.__cause__, aiohttp.ClientConnectorError) or status in (401, 403, 429, 503):
        raise ProviderDown(message) from error
    if status in (400, 402, 404) and fault and fault.get("type") != "idempotency_error":
        raise ProviderRefused(message, fault.get("decline_code") or fault.get("code")) from error
    raise ProviderUnknown(message) from error


def _safe(identifier: str) -> str:
    """An id that may stand in a path."""
    if not re.fullmatch(r"\w{1,255}", identifier, re.ASCII):
        raise ProviderRefused("that is not an id of the provider's", "resource_missing")
    return identifier


def _presence(request: ChargeRequest) -> Json:
    """Parameters for a payer who is present, or not."""
    if not request.on_session:
        return {"off_session": True}
    return {"return_url": request.return_url} if request.return_url else {}


_DEPOSITS = {
    "payment_method_microdeposit_verification_amounts_mismatch": "deposits_wrong",
    "payment_method_microdeposit_verification_amounts_invalid": "deposits_wrong",
    "payment_method_microdeposit_verification_descriptor_code_mismatch": "deposits_wrong",
    "payment_method_microdeposit_verification_attempts_exceeded": "deposits_exhausted",
}


def _verify(body: bytes, signature: str, secret: bytes, now: datetime) -> None:
    """Stripe's scheme v1: HMAC-SHA256 of `timestamp.body`, any of several signatures, 300 s either way."""
    fields = [part.strip().partition("=") for part in signature.split(",")]
    stamp = next((value for name, _, value in fields if name == "t"), "")
    if not re.fullmatch(r"\d{1,12}", stamp, re.ASCII):
        raise BadSignature("the signature has no time")
    expected = hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest().encode()
    given = [value.encode(errors="replace") for name, _, value in fields if name == "v1"]
    if not any([hmac.compare_digest(expected, value) for value in given]):
        raise BadSignature("the signature is wrong")
    if abs(now.timestamp() - int(stamp)) > _TOLERANCE.total_seconds():
        raise BadSignature("the signature is too old")
