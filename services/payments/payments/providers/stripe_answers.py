"""Translates Stripe's objects: payment methods, charges, refunds and disputes, events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog

from payments.providers import (
    BackKind,
    BackState,
    Charge,
    ChargeState,
    Funding,
    MethodDetails,
    ProviderEvent,
    ProviderRefused,
    SetupOutcome,
    TakenBack,
)
from payments.providers.stripe_units import from_stripe

log = structlog.get_logger()

Json = dict[str, Any]

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
_PAYOUT_EVENTS = (
    "payout.created",
    "payout.paid",
    "payout.failed",
    "payout.canceled",
    "payout.reconciliation_completed",
)
_SETUP_EVENTS = (
    "checkout.session.completed",
    "checkout.session.expired",
    "setup_intent.succeeded",
    "setup_intent.setup_failed",
)
EVENTS = (*_INTENT_EVENTS, *_BACK_EVENTS, *_PAYOUT_EVENTS, *_SETUP_EVENTS)  # twenty: Stripe takes no more
_STATES: dict[str, ChargeState] = {
    "succeeded": "succeeded",
    "processing": "processing",
    "requires_action": "requires_action",
    "canceled": "cancelled",
}


def setup(session: Json) -> SetupOutcome:
    """The outcome of a session is that of its setup intent, once the customer has entered a method."""
    if session["status"] != "complete":
        return SetupOutcome("expired" if session["status"] == "expired" else "open")
    intent: Json = session["setup_intent"]
    given = method(intent["payment_method"]) if isinstance(intent.get("payment_method"), dict) else None
    if intent["status"] == "succeeded":
        return SetupOutcome("succeeded", given)
    if intent["status"] in ("requires_action", "processing", "requires_confirmation"):
        deposits: Json = (intent.get("next_action") or {}).get("verify_with_microdeposits") or {}
        arrives = deposits.get("arrival_date")
        return SetupOutcome("verifying", given, _instant(arrives) if arrives else None)
    error: Json = intent.get("last_setup_error") or {}
    return SetupOutcome("failed", reason=error.get("decline_code") or error.get("code") or intent["status"])


def method(told: Mapping[str, Any]) -> MethodDetails:
    address: Mapping[str, Any] = (told.get("billing_details") or {}).get("address") or {}
    where = (address.get("country"), address.get("state"), address.get("postal_code"))
    if told["type"] == "us_bank_account":
        account = told["us_bank_account"]
        bank, last4 = account.get("bank_name"), account.get("last4")
        return MethodDetails(told["id"], "bank_account", None, bank, last4, None, *where)
    if told["type"] != "card":
        raise ProviderRefused(f"payment by {told['type']} is not offered", "payment_method_not_available")
    card = told["card"]
    funding: Funding = card["funding"] if card.get("funding") in ("credit", "debit", "prepaid") else "unknown"
    expires = (int(card["exp_year"]), int(card["exp_month"]))
    return MethodDetails(told["id"], "card", funding, card.get("brand"), card.get("last4"), expires, *where)


def charge(intent: Json, *, back: tuple[TakenBack, ...] = (), at: int | None = None) -> Charge:
    """Translate an intent; `at` is the instant of the event that brought it."""
    error: Json = intent.get("last_payment_error") or {}
    state = _STATES.get(intent["status"], "open")
    if error and intent["status"] == "requires_payment_method":
        state = "declined"
    currency = intent["currency"].upper()
    latest = intent.get("latest_charge")
    taken: Json = latest if isinstance(latest, dict) else {}
    return Charge(
        provider_id=intent["id"],
        attempt_id=attempt_of(intent),
        state=state,
        amount_minor=from_stripe(intent["amount"], currency),
        currency=currency,
        captured_minor=from_stripe(_captured(intent, taken), currency) if state == "succeeded" else 0,
        cleared_on=_cleared_on(taken, at) if state == "succeeded" else None,
        reason=(error.get("decline_code") or error.get("code")) if state == "declined" else None,
        taken_back=back,
        next_action_url=_next_action_url(intent) if state == "requires_action" else None,
    )


def _next_action_url(intent: Json) -> str | None:
    found: str | None = ((intent.get("next_action") or {}).get("redirect_to_url") or {}).get("url")
    return found


def attempt_of(intent: Json) -> str | None:
    found: str | None = (intent.get("metadata") or {}).get("attempt_id")
    return found


def _captured(intent: Json, charge: Json) -> int:
    """The captured amount of the charge if the answer has it, else of the intent."""
    return int(charge.get("amount_captured") or intent.get("amount_received") or 0)


def _cleared_on(charge: Json, at: int | None) -> datetime | None:
    """When the money was there. A bank debit's charge is created when it is sent, its balance transaction then."""
    transaction = charge.get("balance_transaction")
    stamp = transaction["created"] if isinstance(transaction, dict) else at or charge.get("created")
    return _instant(stamp) if stamp is not None else None


_REFUND_STATES: dict[str, BackState] = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}
_DISPUTE_STATES: dict[str, BackState] = {"lost": "succeeded", "won": "won"}


def refunded(refund: Json) -> TakenBack:
    currency = refund["currency"].upper()
    state = _REFUND_STATES.get(refund["status"], "processing")
    code = refund.get("failure_reason") if state == "failed" else "refund"
    ours: str | None = (refund.get("metadata") or {}).get("refund_id")
    amount = from_stripe(refund["amount"], currency)
    return TakenBack(refund["id"], "refund", state, amount, _instant(refund["created"]), code, ours)


def disputed(dispute: Json) -> TakenBack | None:
    """A bank's return is a dispute that is lost from the start. An inquiry (`warning_…`) holds no money."""
    if dispute["status"].startswith("warning_"):
        return None
    currency, code = dispute["currency"].upper(), dispute.get("network_reason_code") or dispute["reason"]
    paid_with: Json = dispute.get("payment_method_details") or {}
    kind: BackKind = "chargeback" if paid_with.get("type") == "card" else "return"
    state = _DISPUTE_STATES.get(dispute["status"], "open")
    amount = from_stripe(dispute["amount"], currency)
    return TakenBack(dispute["id"], kind, state, amount, _instant(dispute["created"]), code)


NO_SENSE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError, RecursionError)
_LONGEST_ID = 255


def event(told: Json) -> ProviderEvent:
    """Translate an event. Raises one of `NO_SENSE` if it is none."""
    subject, kind = told["data"]["object"], told["type"]
    if len(told["id"]) > _LONGEST_ID:
        raise ValueError(f"an event's id has at most {_LONGEST_ID} characters")
    return ProviderEvent(
        told["id"],
        kind,
        _instant(told["created"]),
        _charge_of(told),
        payout_id=subject["id"] if kind in _PAYOUT_EVENTS else None,
        setup_id=(subject.get("metadata") or {}).get("setup_id") if kind in _SETUP_EVENTS else None,
    )


def event_or_not(told: Json) -> ProviderEvent:
    """Translate one event of a list. If it makes no sense, it is logged and ignored, so that the next ones are read."""
    try:
        return event(told)
    except NO_SENSE as fault:
        log.warning("an event of the provider makes no sense", event_id=told["id"], error=repr(fault))
        return ProviderEvent(told["id"], str(told.get("type")), _instant(told.get("created") or 0), None)


def _charge_of(event: Json) -> Charge | None:
    subject = event["data"]["object"]
    if event["type"] in _INTENT_EVENTS:
        ours = attempt_of(subject) is not None  # another system of the account may charge too
        return charge(subject, at=event["created"]) if ours else None
    if event["type"] in _BACK_EVENTS and subject.get("payment_intent"):
        # Its payment and amount are read from the record, because another system of the account may charge, too.
        return Charge(subject["payment_intent"], None, "succeeded", 0, subject["currency"].upper(), 0, None, None)
    return None


def _instant(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
