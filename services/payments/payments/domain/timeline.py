"""Why a payment is as it is, and what comes next, in words for people. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from payments.domain.payments import Payment, Reversal

# What each event means.
WORDS = {
    "PaymentSubmitted": "The payment was confirmed.",
    "PaymentActionRequired": "The payer has to confirm it with the bank.",
    "PaymentSucceeded": "The provider took the money; its own record has yet to agree.",
    "PaymentUnknown": "The provider's answer was lost; it is asked until it knows.",
    "PaymentReconciled": "The provider's record agrees: the money is there.",
    "PaymentReconciliationOverdue": "The provider's record did not agree in its time.",
    "PaymentExpired": "The payer did not confirm in time; no money moved.",
}
REASONS = {
    "surcharge_declined": "The surcharge was declined, so nothing was charged.",
    "invoice_changed": "An invoice changed before it could be reserved, so nothing was charged.",
    "insufficient_funds": "The bank declined: there is not enough money on the account.",
    "expired_card": "The bank declined: the card has expired.",
}
# Those of money that goes back say how much, with surcharge.
BACK = {
    "PaymentRefundRequested": "A refund of {money} was asked of the provider.",
    "PaymentRefundFailed": "The provider could not give {money} back.",
    "PaymentDisputed": "The payer's bank opened a chargeback and holds {money}.",
    "PaymentDisputeWon": "The chargeback of {money} was decided for the company.",
}
GONE = {
    "refund": "{money} was given back.",
    "return": "The bank took {money} back.",
    "chargeback": "The chargeback was lost, and {money} is gone.",
}
CAME_BACK = "{money} that was given back did not arrive: {credit} is the customer's credit until it is given again."


def told(event: str, body: Mapping[str, Any], reversals: Sequence[Reversal] = ()) -> str:
    """One line of a timeline: what happened. `reversals` are what its payment's events may be about."""
    reason = str(body.get("reason") or "")
    match event:
        case "PaymentReversed":
            return _how_much(GONE.get(str(body.get("kind")), GONE["return"]), body, reversals)
        case _ if event in BACK:
            words = CAME_BACK if body.get("came_back") else BACK[event]
            return _how_much(words, body, reversals)
        case "PaymentReconciled" if body.get("way") == "receive":
            return "The money was received."
        case "PaymentReconciled" if not body["total"]["amount_minor"]:
            return "Credit paid it; nothing was charged."
        case "PaymentDeclined":
            return REASONS.get(reason, f"The bank declined ({reason.replace('_', ' ') or 'no reason given'}).")
        case "PaymentCancelled":
            return REASONS.get(reason, "The payment was cancelled before any money moved.")
        case _:
            return WORDS.get(event, event)


def _how_much(words: str, body: Mapping[str, Any], reversals: Sequence[Reversal]) -> str:
    about = next((each for each in reversals if each.id == body.get("reversal_id")), None)
    said = words.format(money=about.total if about else "the money", credit=about.amount if about else "it")
    return said[0].upper() + said[1:]


def next_step(payment: Payment, today: date, reversals: Sequence[Reversal] = ()) -> str | None:
    """What the payment waits for, and until when; None when it waits for nothing."""
    giving = next((each for each in reversals if each.state in ("requested", "processing")), None)
    by = f" by {payment.expected_by}" if payment.expected_by and payment.expected_by >= today else ""
    if payment.disputed:
        return "The payer's bank decides the chargeback."
    if payment.reconciliation in ("exception", "mismatch"):
        return "Somebody of the company looks into it; a ticket about this payment helps."
    match payment.status:
        case "submitted":
            return "Its invoices are being reserved."
        case "requires_action":
            return "Confirm it with the bank, on the page that next_action_url names."
        case "reserved" | "processing" if payment.method_kind == "bank_account":
            return f"The bank confirms{by}."
        case "reserved" | "processing":
            return f"The provider confirms{by}."
        case "unknown":
            return f"The provider is asked what became of it, until it knows{by}. Don't pay it again meanwhile."
        case "succeeded" if giving is not None:
            return f"The provider gives {giving.total} back; its record confirms it."
        case "succeeded" if payment.reconciliation == "waiting":
            return f"The provider's record confirms it{by}."
        case _:
            return None
