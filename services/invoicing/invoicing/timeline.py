"""Why an invoice is as it is, and what comes next, in words for people. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from contracts.envelope import Amount
from contracts.money import Money
from invoicing.domain import Invoice

WORDS = {
    "InvoiceIssued": "The invoice was issued.",
    "InvoiceInProgress": "A payment of {held}, all that was left, is under way.",
    "InvoicePaid": "{paid} was paid: the invoice is paid.",
    "InvoiceReopened": "{back} of it went back: the invoice is owed again.",
    "InvoiceVoided": "The invoice was withdrawn.",
    "InvoiceWrittenOff": "The invoice is held to be uncollectible.",
}
# What was heard: of its payments, and of autopay.
HEARD = {
    "PaymentDisputed": "The payer's bank opened a chargeback of a payment, and holds {disputed} until it is decided.",
    "PaymentDisputeWon": "The chargeback of {disputed} was decided for the company.",
    "PaymentReconciliationOverdue": "The payment of {total} was not confirmed in its time; the company looks into it.",
    "AutopayScheduled": "Autopay was announced: it charges {total} on {charge_on}.",
}
GONE = {
    "refund": "{taken} of a payment was given back.",
    "return": "The payer's bank took {taken} of a payment back.",
    "chargeback": "A chargeback was lost: {taken} of the payment is gone.",
    "void": "A receipt of {taken} was voided: it had been recorded in error.",
}


def told(event: str, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """One line of a timeline; a change is told by what it changed since the event before."""
    settled, pending = (_moved(name, body, before) for name in ("settled", "pending"))
    if event != "InvoiceChanged":
        words = WORDS.get(event, "The invoice changed.")
        return words.format(held=pending, paid=settled, back=-settled)
    if settled.minor > 0:
        return f"{settled} was paid."
    if settled.minor < 0:
        return f"{-settled} of it went back."
    if pending.minor > 0:
        return f"A payment of {pending} is under way."
    return "A payment that was under way ended without money." if pending else "The invoice changed."


def _moved(name: str, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> Money:
    now = Amount(**body[name]).money()
    return now - Amount(**before[name]).money() if before else now


def heard(event: str, body: Mapping[str, Any]) -> str:
    """One line of a timeline: what another service told of its payment, or of autopay."""
    gone = "void" if body.get("voided") else body.get("kind") or "return"
    words = GONE[gone] if event == "PaymentReversed" else HEARD[event]
    amounts = {name: Amount(**body[name]).money() for name in ("total", "disputed", "taken") if body.get(name)}
    return words.format(**{**body, **amounts})


def _disputed(events: Sequence[Mapping[str, Any]]) -> Money | None:
    """What the newest chargeback that has not been decided is about."""
    over = {each["payload"].get("reversal_id") for each in events if each["type"] != "PaymentDisputed"}
    opened = [each["payload"] for each in events if each["type"] == "PaymentDisputed"]
    undecided = [Amount(**body["disputed"]).money() for body in opened if body["reversal_id"] not in over]
    return undecided[-1] if undecided else None


def _announced(events: Sequence[Mapping[str, Any]], today: date) -> str | None:
    """The day on which autopay charges it, where that is to come."""
    last = next((each for each in reversed(events) if each["type"].startswith(("Autopay", "InvoicePaid"))), None)
    day: str = last["payload"].get("charge_on", "") if last else ""  # none: autopay was changed, or it was paid, since
    return day if day >= today.isoformat() else None


def next_step(
    invoice: Invoice, under_way: Sequence[Mapping[str, Any]], today: date, events: Sequence[Mapping[str, Any]] = ()
) -> str | None:
    """What the invoice waits for; None when it waits for nothing. `events`: of it and of its payments."""
    if under_way:
        awaited = max((each["expected_by"] for each in under_way if each["expected_by"]), default=None)
        if awaited is not None and awaited >= today:
            return f"The payment under way is confirmed by {awaited}; until then the same money can't be paid twice."
        past = f", which was expected by {awaited}" if awaited else ""
        return f"It waits for the payment under way{past}. Until that is confirmed, the same money can't be paid twice."
    if invoice.state == "draft":
        return "It is issued."
    if invoice.state != "open":
        return f"The payer's bank decides a chargeback of {disputed}." if (disputed := _disputed(events)) else None
    if charge_on := _announced(events, today):
        return f"Autopay charges it on {charge_on}."
    if invoice.overdue(today):
        late = (today - invoice.due_on).days
        return f"It waits to be paid: it was due on {invoice.due_on}, {late} day{'s' if late > 1 else ''} ago."
    return f"It waits to be paid, by {invoice.due_on}."
