"""The timeline of a payment and its next step, in words for people. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from contracts.money import Money
from payments.collecting.domain.payments import NEVER_MADE, PAYER_CANCELLED, Payment, Reversal
from payments.collecting.domain.reversals import VOIDED
from payments.providers.codes import Code, known

Value = Money | date | str


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence, with its stable `code` and the `values` in it, from which it can be written in another language.

    `reason` among the values is the provider's code, or ours.
    """

    code: str
    text: str
    values: Mapping[str, Value] = field(default_factory=dict)


def say(code: str, template: str, **values: Value | None) -> Said:
    """Fill the template of a sentence. Values that are None are left out."""
    known = _known(values)
    return Said(code, template.format(**known), known)


def plain(code: str, text: str, **values: Value | None) -> Said:
    """A sentence whose text has its values already."""
    return Said(code, text, _known(values))


def _known(values: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value is not None}


# The text of each event.
WORDS = {
    "PaymentSubmitted": "The payment was confirmed.",
    "PaymentActionRequired": "The payer has to confirm it with the bank.",
    "PaymentSucceeded": "The provider took the money. Its record must still confirm it.",
    "PaymentUnknown": "The provider's answer was lost; it is asked until it knows.",
    "PaymentReconciled": "The provider's record agrees: the money is there.",
    "PaymentReconciliationOverdue": "The provider's record did not agree in its time.",
    "PaymentExpired": "The payer did not confirm in time; no money moved.",
}
# Our own reasons why a payment ended without money, besides the provider's codes.
REASONS = {
    "surcharge_declined": "The surcharge was declined, so nothing was charged.",
    "invoice_changed": "An invoice changed before it could be reserved, so nothing was charged.",
    "taken_in_another_currency": "The provider took another currency and gave it back, so nothing was paid.",
    PAYER_CANCELLED: "It was cancelled before the payer confirmed it with the bank, so nothing was charged.",
    NEVER_MADE: "The charge never reached the provider, so nothing was charged.",
}
# What to do then. The invoices may owe less now than the payment was for.
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
# For a payment whose credit did not pay all that was agreed.
CREDIT_WENT_BACK = (
    "{money} of the credit for it went back: its invoices are owed again. Pay what is still owed of them anew."
)
CREDIT_WAS_GONE = "{money} of the credit for it was gone before it could pay. Pay what is still owed of its invoices."
PAY_AGAIN = "Pay what is still owed again."
PAY_LATER = "Pay what is still owed later, or by another method."
PAY_OTHERWISE = "Pay what is still owed by another method; the payer's bank can say more."
METHOD_LOST = "Pay what is still owed by another method: this one can't be charged any more."
# Events about reversals say how much, with surcharge.
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
# Our own reasons why a refund failed, besides the provider's codes.
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
) -> Said:
    """One line of a timeline: what happened on a day. `reversals`: all of the payment, because events refer to them.

    `credit_short`: how much of the agreed credit was gone.
    """
    reason = str(body.get("reason") or "")
    match event:
        case "PaymentReversed":
            kind = "void" if body.get("voided") else body.get("kind") or "return"
            return _of_back(codes, f"gone_by_{kind}", GONE[kind], body, on, reversals)
        case _ if event in BACK:
            if body.get("came_back"):
                return _of_back(codes, "refund_came_back", CAME_BACK, body, on, reversals)
            return _of_back(codes, _code_of(event), BACK[event], body, on, reversals)
        case "PaymentReconciled" if body.get("way") == "receive":
            return say("received", "The money was received.")
        case "PaymentReconciled" if not body["total"]["amount_minor"] and credit_short:
            words = "Nothing was charged; of the credit that was to pay it, {short} was gone."
            return say("credit_was_gone", words, short=credit_short)
        case "PaymentReconciled" if not body["total"]["amount_minor"]:
            return say("paid_by_credit", "Credit paid it; nothing was charged.")
        case "PaymentDeclined":
            if reason in REASONS:
                return say(f"declined_{reason}", REASONS[reason])
            return _declined(reason, known(codes, "decline", reason, on))
        case "PaymentCancelled":
            if reason in REASONS:
                return say(f"cancelled_{reason}", REASONS[reason])
            return say("cancelled", "The payment was cancelled before any money moved.", reason=reason or None)
        case _:
            return plain(_code_of(event), WORDS.get(event, event))


def _code_of(event: str) -> str:
    """PaymentRefundFailed is refund_failed."""
    return re.sub("(?<!^)(?=[A-Z])", "_", event.removeprefix("Payment")).lower()


def _declined(reason: str, code: Code | None) -> Said:
    if code is not None:
        return plain("declined", f"The payment was declined: {code.clause}.", reason=reason)
    if reason in ("", "declined", "refused_by_provider"):
        return say("declined_without_reason", "The payment was declined, and the provider gave no reason.")
    return plain("declined", f"The payment was declined ({reason.replace('_', ' ')}).", reason=reason)


def _of_back(
    codes: Sequence[Code], what: str, words: str, body: Mapping[str, Any], on: date, reversals: Sequence[Reversal]
) -> Said:
    """How much goes back, with surcharge, and why, if that is known."""
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
    values: dict[str, Value | None] = {"reason": code if why else None}
    if about is not None:
        values |= {"money": about.total, "credit": about.amount if words == CAME_BACK else None}
    return plain(what, said[0].upper() + said[1:], **values)


def next_step(codes: Sequence[Code], payment: Payment, today: date, reversals: Sequence[Reversal] = ()) -> Said | None:
    """What the payment waits for, and until when; or what to do if it took no money; None if nothing is left to do."""
    giving = next((each for each in reversals if each.state in ("requested", "processing")), None)
    until = payment.expected_by if payment.expected_by and payment.expected_by >= today else None
    by = f" by {until}" if until else ""
    looked_at = payment.reason == "taken_in_another_currency"  # a person has looked, and ended it
    if payment.disputed:
        return say("chargeback_open", "The payer's bank decides the chargeback.")
    if payment.reconciliation in ("exception", "mismatch") and not looked_at:
        words = "Somebody of the company looks into it; a ticket about this payment helps."
        return say("company_looks", words)
    match payment.status:
        case "submitted":
            return say("reserving", "Its invoices are being reserved.")
        case "requires_action" if payment.given_up:
            words = "The provider is asked to cancel the charge; its invoices can be paid again once it says so."
            return say("cancelling", words)
        case "requires_action":
            return say("confirm_at_bank", "Confirm it with the bank, on the page that next_action_url names.")
        case "reserved" | "processing" if payment.method_kind == "bank_account":
            return plain("bank_confirms", f"The bank confirms{by}.", by=until)
        case "reserved" | "processing":
            return plain("provider_confirms", f"The provider confirms{by}.", by=until)
        case "unknown":
            words = f"The provider is asked what became of it, until it knows{by}. Don't pay it again meanwhile."
            return plain("provider_is_asked", words, by=until)
        case "succeeded" if giving is not None:
            return say(
                "refund_under_way", "The provider gives {money} back; its record confirms it.", money=giving.total
            )
        case "succeeded" if payment.reconciliation == "waiting":
            return plain("record_confirms", f"The provider's record confirms it{by}.", by=until)
        case "succeeded" if payment.reason == VOIDED:
            return None
        case "succeeded" if payment.total and payment.reversed >= payment.total.minor:
            words = "All of it went back: its invoices are owed again. Pay what is still owed of them anew."
            return say("went_back", words)
        case "succeeded" if payment.credit_missing:
            if payment.credit_gone:
                return say("credit_went_back", CREDIT_WENT_BACK, money=payment.credit_missing)
            return say("credit_was_gone", CREDIT_WAS_GONE, money=payment.credit_missing)
        case "declined" | "cancelled" | "expired":
            return _to_do(codes, payment, today)
        case _:
            return None


def _to_do(codes: Sequence[Code], payment: Payment, today: date) -> Said:
    """What to do after a payment that ended without money."""
    reason = payment.reason or ""
    if payment.new_quote_id is not None:
        words = "Confirm the new quote {quote_id} (new_quote_id): it is of what could still be paid."
        return say("confirm_new_quote", words, quote_id=payment.new_quote_id)
    if reason in AGAIN:
        return say(f"pay_again_{reason}", AGAIN[reason])
    if payment.status != "declined" or reason == NEVER_MADE:
        return say("pay_again", PAY_AGAIN)
    code = known(codes, "decline", reason, today)
    if code is None or not (code.retry or code.disables):
        return say("pay_otherwise", PAY_OTHERWISE)
    return say("method_lost", METHOD_LOST) if code.disables else say("pay_later", PAY_LATER)
