"""Stripe through its official SDK; the base address is a setting, so the same code talks to its sandboxes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import aiohttp
import structlog

from payments.providers import (
    BackState,
    BadSignature,
    Charge,
    ChargeRequest,
    ChargeState,
    Funding,
    MethodDetails,
    ProviderDown,
    ProviderEvent,
    ProviderRefused,
    ProviderUnknown,
    RefundRequest,
    TakenBack,
)
from payments.providers.stripe_units import charged_in, from_stripe, refusal, to_stripe

if TYPE_CHECKING:
    import stripe

log = structlog.get_logger()

Json = dict[str, Any]
Found = TypeVar("Found")

_INTENT_EVENTS = (
    "payment_intent.succeeded",
    "payment_intent.processing",
    "payment_intent.payment_failed",
    "payment_intent.requires_action",
    "payment_intent.canceled",
)
_BACK_EVENTS = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "refund.created",
    "refund.updated",
    "refund.failed",
)
_STATES: dict[str, ChargeState] = {
    "succeeded": "succeeded",
    "processing": "processing",
    "requires_action": "requires_action",
    "canceled": "cancelled",
}
_WHOLE = ("latest_charge.balance_transaction",)
_TOLERANCE = timedelta(seconds=300)
_CLOCK_SKEW = timedelta(seconds=60)
_PAGE = 100


class StripeAdapter:
    """`payments.providers.Provider` on Stripe's API.

    `timeout` is in seconds, for a whole call; nothing is retried here. The SDK takes most of a second to import, so
    that waits for the first call: a process that only reads webhooks never loads it.
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
        return _read(_method, await self._post(path, idempotency_key, {"customer": provider_customer}))

    async def charge(self, request: ChargeRequest) -> Charge:
        params = {
            "amount": to_stripe(request.amount_minor, request.currency),
            "currency": request.currency.lower(),
            "customer": request.provider_customer,
            "payment_method": request.provider_method,
            "payment_method_types": ["card", "us_bank_account"],
            "confirm": True,
            "off_session": True,
            "metadata": {"attempt_id": request.attempt_id, "payment_id": request.payment_id},
            "expand": list(_WHOLE),
        }
        try:
            return _read(_charge, await self._post("/v1/payment_intents", request.attempt_id, params))
        except _DeclinedError as decline:
            return _read(_charge, decline.intent)

    async def get_charge(self, provider_id: str) -> Charge:
        intent = await self._get(f"/v1/payment_intents/{_safe(provider_id)}", {"expand": list(_WHOLE)})
        back = await self._taken_back(intent)
        return _read(lambda found: _charge(found, back=back), intent)

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
                if _attempt_of(intent) == attempt_id:
                    return await self.get_charge(intent["id"])
            if not page["has_more"]:
                return None
            params["starting_after"] = page["data"][-1]["id"]

    async def cancel_charge(self, provider_id: str) -> Charge:
        path = f"/v1/payment_intents/{_safe(provider_id)}/cancel"
        try:
            return _read(_charge, await self._post(path, f"cancel-{provider_id}", {"expand": list(_WHOLE)}))
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
        return _read(_refunded, await self._post("/v1/refunds", request.refund_id, params))

    async def events_since(self, cursor: str | None, limit: int) -> list[ProviderEvent]:
        """Stripe keeps events for 30 days: a cursor older than that begins again at the oldest."""
        params: Json = {"types": [*_INTENT_EVENTS, *_BACK_EVENTS], "limit": min(limit, _PAGE)}
        if cursor is not None:
            try:
                page = await self._get("/v1/events", {**params, "ending_before": cursor})
                return [_told(event) for event in reversed(page["data"])]
            except ProviderRefused as refused:
                if refused.code != "resource_missing":
                    raise
        oldest = await self._oldest_events(params)
        return [_told(event) for event in oldest[: params["limit"]]]

    def read_webhook(self, body: bytes, signature: str, now: datetime) -> ProviderEvent:
        _verify(body, signature, self._secret, now)
        try:
            return _event(json.loads(body))
        except (ValueError, KeyError, TypeError) as fault:
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
        params: Json = {"payment_intent": intent["id"], "limit": _PAGE}
        refunds = await self._get("/v1/refunds", params)
        disputes = await self._get("/v1/disputes", params) if latest.get("disputed") else {"data": []}
        back = [_read(_refunded, each) for each in refunds["data"]] + [
            _read(_disputed, each) for each in disputes["data"]
        ]
        return tuple(sorted((each for each in reversed(back) if each is not None), key=lambda each: each.at))

    async def _oldest_events(self, params: Json) -> list[Json]:
        newest_first: list[Json] = []
        after: Json = {}
        while True:
            page = await self._get("/v1/events", {**params, **after})
            newest_first += page["data"]
            if not page["has_more"]:
                return newest_first[::-1]
            newest_first = newest_first[-_PAGE:]
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
                logging.getLogger("stripe").setLevel(logging.WARNING)  # it tells of every request otherwise
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
    """An answer in our words; one that makes no sense leaves open what happened."""
    try:
        return parse(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise ProviderUnknown(f"the answer makes no sense: {fault!r}") from fault


def _raise(error: stripe.StripeError) -> NoReturn:
    """What Stripe's error means for the caller.

    Final is only Stripe's own word that this request was wrong. A wrong key of ours, too many requests, or another body
    under a used key say nothing of what an earlier call with the same attempt did: that stays unknown.
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


def _method(method: Mapping[str, Any]) -> MethodDetails:
    if method["type"] == "us_bank_account":
        account = method["us_bank_account"]
        return MethodDetails(method["id"], "bank_account", None, account.get("bank_name"), account.get("last4"), None)
    if method["type"] != "card":
        raise ProviderRefused(f"payment by {method['type']} is not offered", "payment_method_not_available")
    card = method["card"]
    funding: Funding = card["funding"] if card.get("funding") in ("credit", "debit", "prepaid") else "unknown"
    expires = (int(card["exp_year"]), int(card["exp_month"]))
    return MethodDetails(method["id"], "card", funding, card.get("brand"), card.get("last4"), expires)


def _charge(intent: Json, *, back: tuple[TakenBack, ...] = (), at: int | None = None) -> Charge:
    """An intent in our words; `at` is the instant of the event that tells of it."""
    error: Json = intent.get("last_payment_error") or {}
    state = _STATES.get(intent["status"], "open")
    if error and intent["status"] == "requires_payment_method":
        state = "declined"
    currency = intent["currency"].upper()
    latest = intent.get("latest_charge")
    charge: Json = latest if isinstance(latest, dict) else {}
    return Charge(
        provider_id=intent["id"],
        attempt_id=_attempt_of(intent),
        state=state,
        amount_minor=from_stripe(intent["amount"], currency),
        currency=currency,
        captured_minor=from_stripe(_captured(intent, charge), currency) if state == "succeeded" else 0,
        cleared_on=_cleared_on(charge, at) if state == "succeeded" else None,
        reason=(error.get("decline_code") or error.get("code")) if state == "declined" else None,
        taken_back=back,
    )


def _attempt_of(intent: Json) -> str | None:
    found: str | None = (intent.get("metadata") or {}).get("attempt_id")
    return found


def _captured(intent: Json, charge: Json) -> int:
    """The charge's own word where the answer holds it, else the intent's."""
    return int(charge.get("amount_captured") or intent.get("amount_received") or 0)


def _cleared_on(charge: Json, at: int | None) -> datetime | None:
    """A bank debit's charge is created when it is sent, its balance transaction when the money is there."""
    transaction = charge.get("balance_transaction")
    stamp = transaction["created"] if isinstance(transaction, dict) else at or charge.get("created")
    return _instant(stamp) if stamp is not None else None


_REFUND_STATES: dict[str, BackState] = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}
_DISPUTE_STATES: dict[str, BackState] = {"lost": "succeeded", "won": "won"}


def _refunded(refund: Json) -> TakenBack:
    currency = refund["currency"].upper()
    state = _REFUND_STATES.get(refund["status"], "processing")
    code = refund.get("failure_reason") if state == "failed" else "refund"
    ours: str | None = (refund.get("metadata") or {}).get("refund_id")
    amount = from_stripe(refund["amount"], currency)
    return TakenBack(refund["id"], "refund", state, amount, _instant(refund["created"]), code, ours)


def _disputed(dispute: Json) -> TakenBack | None:
    """A bank's return is a dispute that is lost from the start. An inquiry (`warning_…`) holds no money."""
    if dispute["status"].startswith("warning_"):
        return None
    currency, code = dispute["currency"].upper(), dispute.get("network_reason_code") or dispute["reason"]
    method: Json = dispute.get("payment_method_details") or {}
    state, kind = (
        _DISPUTE_STATES.get(dispute["status"], "open"),
        "chargeback" if method.get("type") == "card" else "return",
    )
    amount = from_stripe(dispute["amount"], currency)
    return TakenBack(dispute["id"], kind, state, amount, _instant(dispute["created"]), code)  # type: ignore[arg-type]


def _told(event: Json) -> ProviderEvent:
    """One of many: one that makes no sense to us is passed over, so that those after it are read."""
    try:
        return _event(event)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        log.warning("an event of the provider makes no sense", event_id=event["id"], error=repr(fault))
        return ProviderEvent(event["id"], str(event.get("type")), _instant(event.get("created") or 0), None)


def _event(event: Json) -> ProviderEvent:
    return ProviderEvent(event["id"], event["type"], _instant(event["created"]), _charge_of(event))


def _charge_of(event: Json) -> Charge | None:
    subject = event["data"]["object"]
    if event["type"] in _INTENT_EVENTS:
        ours = _attempt_of(subject) is not None  # another system of the account may charge too
        return _charge(subject, at=event["created"]) if ours else None
    if event["type"] in _BACK_EVENTS and subject.get("payment_intent"):
        # Whose it is, and what it comes to, is for the record to say: another system of the account may charge too.
        return Charge(subject["payment_intent"], None, "succeeded", 0, subject["currency"].upper(), 0, None, None)
    return None


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


def _instant(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
