"""Translates Stripe's payouts and balance transactions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import structlog

from payments.providers import LineKind, Payout, PayoutLine, PayoutState
from payments.providers.stripe_units import from_stripe

log = structlog.get_logger()

Json = dict[str, Any]

_STATES: dict[str, PayoutState] = {
    "pending": "pending",
    "in_transit": "in_transit",
    "paid": "paid",
    "failed": "failed",
    "canceled": "cancelled",
}
_KINDS: dict[str, LineKind] = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund_failed",
    "payment_failure_refund": "return",
    "stripe_fee": "fee",
    "payout_failure": "payout_failed",
    "payout_cancel": "payout_failed",
}


def payout(told: Json) -> Payout:
    currency = told["currency"].upper()
    trace = told.get("trace_id") or {}
    return Payout(
        provider_id=told["id"],
        state=_STATES[told["status"]],
        amount_minor=from_stripe(told["amount"], currency),
        currency=currency,
        arrives_on=_instant(told["arrival_date"]).date(),
        created_at=_instant(told["created"]),
        trace=trace.get("value"),
        descriptor=told.get("statement_descriptor"),
        reason=told.get("failure_code"),
        by_hand=not told["automatic"],
    )


def payout_or_none(told: Json) -> Payout | None:
    """Translate one payout of a list. If it makes no sense, it is logged and ignored, so that the next are read."""
    try:
        return payout(told)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        log.warning("a payout of the provider makes no sense", payout=told.get("id"), error=repr(fault))
        return None


def payout_line(told: Json) -> PayoutLine:
    """A balance transaction with its source in full."""
    currency = told["currency"].upper()
    source = told.get("source")
    whole: Json = source if isinstance(source, dict) else {}
    kind = _kind(told, whole)
    return PayoutLine(
        provider_id=told["id"],
        kind=kind,
        charge_id=whole.get("payment_intent"),
        amount_minor=from_stripe(told["amount"], currency),
        fee_minor=from_stripe(told["fee"], currency),
        net_minor=from_stripe(told["net"], currency),
        currency=currency,
        at=_instant(told["created"]),
        payout_id=whole.get("id") if kind == "payout_failed" else None,
    )


def _kind(told: Json, source: Json) -> LineKind:
    """Stripe moves the money of a dispute as an adjustment: a card's is a chargeback, a bank account's a return."""
    if told["type"] == "adjustment" and source.get("object") == "dispute":
        if (source.get("payment_method_details") or {}).get("type") != "card":
            return "return"
        return "chargeback_won" if told["amount"] > 0 else "chargeback"
    return _KINDS.get(told["type"], "adjustment")


def _instant(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)
