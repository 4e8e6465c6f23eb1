"""Why a payment is as it is, and what comes next, in words for people. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from contracts.money import Money
from payments.domain.codes import Code, known
from payments.domain.payments import NEVER_MADE, PAYER_CANCELLED, Payment, Reversal
from payments.domain.reversals import VOIDED

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
# Why a payment ended without money, where that is no code of the provider.
REASONS = {
    "surcharge_declined": "The surcharge was declined, so nothing was charged.",
    "invoice_changed": "An invoice changed before it could be reserved, so nothing was charged.",
    "taken_in_another_currency": "The provider took another currency and gave it back, so nothing was paid.",
    PAYER_CANCELLED: "It was cancelled before the payer confirmed it with the bank, so nothing was charged.",
    NEVER_MADE: "The charge never reached the provider, so nothing was charged.",
}
# What to do then. What is still owed may be less than it was to pay.
AGAIN = {
    "surcharge_declined": "Nothing was charged. Make a new quote, for another method or to accept the surcharge.",
    "authentication_required": (
        "Pay what is still owed with a return_url, so that the bank can ask the payer to confirm it, or by another "
        "method."
    ),
    "payment_intent_authentication_failure": (
        "Pay what is still owed again and confirm it with the bank, or pay by another method."
    ),
    "not_confirmed": "Pay what is still owed again, and confirm it with the bank within a day.",
}
# Where credit that was to pay does not.
CREDIT_WENT_BACK = (
    "{money} of the credit for it went back: its invoices are owed again. Pay what is still owed of them anew."
)
CREDIT_WAS_GONE = "{money} of the credit for it was gone before it could pay. Pay what is still owed of its invoices."
PAY_AGAIN = "Pay what is still owed again."
PAY_LATER = "Pay what is still owed later, or by another method."
PAY_OTHERWISE = "Pay what is still owed by another method; the payer's bank can say more."
METHOD_LOST = "Pay what is still owed by another method: this one can't be charged any more."
# Those of money that goes back say how much, with surcharge.
BACK = {
    "PaymentRefundRequested": "A refund of {money} was asked of the provider.",
    "PaymentRefundFailed": "The provider could not give {money} back{why}.",
    "PaymentDisputed": "The payer's bank opened a chargeback and holds {money}{why}.",
    "PaymentDisputeWon": "The chargeback of {money} was decided for the company.",
}
GONE = {
    "refund": "{money} was given back.",
    "return": "The bank took {money} back{why}.",
    "chargeback": "The chargeback was lost, and {money} is gone{why}.",
    "void": "The receipt of {money} was voided: it had been recorded in error.",
}
# Why a refund failed, where that is no code of the provider.
REFUSED = {
    "taken_back_first": "the payer's bank took the money first",
    "amount_not_possible": "the provider has no unit for such a sum",
    NEVER_MADE: "it never reached the provider",
}
CAME_BACK = "{money} that was given back did not arrive: {credit} is the customer's credit until it is given again."


def told(
    codes: Sequence[Code],
    event: str,
    body: Mapping[str, Any],
    on: date,
    reversals: Sequence[Reversal] = (),
    credit_short: Money | None = None,
) -> str:
    """One line of a timeline: what happened on a day. `reversals` are what its payment's events may be about.

    `credit_short`: how much of the credit that was to pay it was gone by then.
    """
    reason = str(body.get("reason") or "")
    match event:
        case "PaymentReversed":
            kind = "void" if body.get("voided") else body.get("kind") or "return"
            return _of_back(codes, GONE[kind], body, on, reversals)
        case _ if event in BACK:
            words = CAME_BACK if body.get("came_back") else BACK[event]
            return _of_back(codes, words, body, on, reversals)
        case "PaymentReconciled" if body.get("way") == "receive":
            return "The money was received."
        case "PaymentReconciled" if not body["total"]["amount_minor"] and credit_short:
            return f"Nothing was charged; of the credit that was to pay it, {credit_short} was gone."
        case "PaymentReconciled" if not body["total"]["amount_minor"]:
            return "Credit paid it; nothing was charged."
        case "PaymentDeclined":
            return REASONS.get(reason) or _declined(reason, known(codes, "decline", reason, on))
        case "PaymentCancelled":
            return REASONS.get(reason, "The payment was cancelled before any money moved.")
        case _:
            return WORDS.get(event, event)


def _declined(reason: str, code: Code | None) -> str:
    if code is not None:
        return f"The payment was declined: {code.clause}."
    if reason in ("", "declined", "refused_by_provider"):
        return "The payment was declined, and the provider gave no reason."
    return f"The payment was declined ({reason.replace('_', ' ')})."


def _of_back(
    codes: Sequence[Code], words: str, body: Mapping[str, Any], on: date, reversals: Sequence[Reversal]
) -> str:
    """How much goes back, with surcharge, and why where that is known."""
    about = next((each for each in reversals if each.id == body.get("reversal_id")), None)
    kind = about.kind if about else body.get("kind") or "return"
    code = body.get("code") or (about.code if about else None)
    meant = known(codes, kind, code, on)
    why = meant.clause if meant else REFUSED.get(code or "", "")
    said = words.format(
        money=about.total if about else "the money",
        credit=about.amount if about else "it",
        why=f": {why}" if why else "",
    )
    return said[0].upper() + said[1:]


def next_step(codes: Sequence[Code], payment: Payment, today: date, reversals: Sequence[Reversal] = ()) -> str | None:
    """What the payment waits for, and until when, or what to do after it came to nothing; None when it is done."""
    giving = next((each for each in reversals if each.state in ("requested", "processing")), None)
    by = f" by {payment.expected_by}" if payment.expected_by and payment.expected_by >= today else ""
    let_go = payment.reason == "taken_in_another_currency"  # a person has looked, and ended it
    if payment.disputed:
        return "The payer's bank decides the chargeback."
    if payment.reconciliation in ("exception", "mismatch") and not let_go:
        return "Somebody of the company looks into it; a ticket about this payment helps."
    match payment.status:
        case "submitted":
            return "Its invoices are being reserved."
        case "requires_action" if payment.let_go:
            return "The provider is asked to cancel the charge; its invoices can be paid again once it says so."
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
        case "succeeded" if payment.reason == VOIDED:
            return None
        case "succeeded" if payment.total and payment.reversed >= payment.total.minor:
            return "All of it went back: its invoices are owed again. Pay what is still owed of them anew."
        case "succeeded" if payment.credit_missing:
            words = CREDIT_WENT_BACK if payment.credit_gone else CREDIT_WAS_GONE
            return words.format(money=payment.credit_missing)
        case "declined" | "cancelled" | "expired":
            return _to_do(codes, payment, today)
        case _:
            return None


def _to_do(codes: Sequence[Code], payment: Payment, today: date) -> str:
    """After a payment that ended without money."""
    reason = payment.reason or ""
    if payment.new_quote_id is not None:
        return f"Confirm the new quote {payment.new_quote_id} (new_quote_id): it is of what could still be paid."
    if reason in AGAIN:
        return AGAIN[reason]
    if payment.status != "declined" or reason == NEVER_MADE:
        return PAY_AGAIN
    code = known(codes, "decline", reason, today)
    if code is None or not (code.retry or code.disables):
        return PAY_OTHERWISE
    return METHOD_LOST if code.disables else PAY_LATER
