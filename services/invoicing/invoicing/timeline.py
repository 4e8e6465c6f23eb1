"""Timelines: why an invoice has its status and what comes next, as codes with values and in English. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from contracts.envelope import Amount
from contracts.money import Money
from invoicing.domain import Invoice

WORDS = {
    "issued": "The invoice was issued.",
    "part_under_way": "A payment of {amount} is under way.",
    "all_under_way": "A payment of {amount}, all that was left, is under way.",
    "part_paid": "{amount} was paid.",
    "paid": "{amount} was paid: the invoice is paid.",
    "part_went_back": "{amount} of it went back.",
    "reopened": "{amount} of it went back: the invoice is owed again.",
    "ended_without_money": "A payment that was under way ended without money.",
    "voided": "The invoice was voided.",
    "voided_because": "The invoice was voided: {reason}",
    "written_off": "The invoice is held to be uncollectible.",
    "chargeback_opened": "The payer's bank opened a chargeback of a payment, and holds {amount} until it is decided.",
    "chargeback_won": "The chargeback of {amount} was decided for the company.",
    "confirmation_overdue": "The payment of {amount} was not confirmed in its time; the company looks into it.",
    "autopay_announced": "Autopay was announced: it charges {amount} on {day}.",
    "autopay_off": "Autopay was switched off: it does not charge the invoice.",
    "autopay_held": "Autopay is held: it charges nothing until somebody switches it on again.",
    "autopay_changed": "Autopay was changed: the charge that was announced is cancelled.",
    "refunded": "{amount} of a payment was given back.",
    "returned": "The payer's bank took {amount} of a payment back.",
    "chargeback_lost": "A chargeback was lost: {amount} of the payment is gone.",
    "receipt_voided": "A receipt of {amount} was voided: it had been recorded in error.",
    "nothing_to_credit": "A dispute was accepted, and nothing was left to credit.",
    "dispute_raised": "{amount} of it is disputed: reminders and autopay leave that out.",
    "dispute_rejected": "The dispute of {amount} was rejected: all is owed.",
    "dispute_withdrawn": "The dispute of {amount} was withdrawn.",
    "left_as_credit": "{amount} of credit note {number} was paid already: it is the customer's credit.",
    "credited": "A credit note took {amount} off it.",
    "paid_by_credit_note": "A credit note took the last {amount} off it: nothing is owed any more.",
    # What comes next.
    "in_dispute": "It is in dispute: reminders and autopay wait for the decision.",
    "confirmed_by": "The payment under way is confirmed by {day}; until then the same money can't be paid twice.",
    "confirmation_awaited": "It waits for the payment under way. "
    "Until that is confirmed, the same money can't be paid twice.",
    "confirmation_late": "It waits for the payment under way, which was expected by {day}. "
    "Until that is confirmed, the same money can't be paid twice.",
    "to_be_issued": "It is a draft: it is owed once it is issued.",
    "chargeback_undecided": "The payer's bank decides a chargeback of {amount}.",
    "charged_on": "Autopay charges it on {day}.",
    "overdue": "It waits to be paid: it was due on {day}, {days} days ago.",
    "overdue_since_yesterday": "It waits to be paid: it was due on {day}, 1 day ago.",
    "due": "It waits to be paid, by {day}.",
}
# Events by the code of their line; those heard of others also by the field of their body that holds its amount.
OWN = {"InvoiceIssued": "issued", "InvoiceVoided": "voided", "InvoiceWrittenOff": "written_off"}
HEARD = {
    "PaymentDisputed": ("chargeback_opened", "disputed"),
    "PaymentDisputeWon": ("chargeback_won", "disputed"),
    "PaymentReconciliationOverdue": ("confirmation_overdue", "total"),
    "AutopayScheduled": ("autopay_announced", "total"),
}
GONE = {"refund": "refunded", "return": "returned", "chargeback": "chargeback_lost", "void": "receipt_voided"}


@dataclass(frozen=True, slots=True)
class Line:
    """A stable code with its values, so that it can be said in any language."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The line in English."""
        return WORDS[self.code].format(**self.values)

    @property
    def plain_values(self) -> dict[str, Any]:
        """The values as JSON: an amount is `amount_minor` beside `currency`."""
        plain = {name: value for name, value in self.values.items() if not isinstance(value, Money)}
        amount = self.values.get("amount")
        return plain | ({"amount_minor": amount.minor, "currency": amount.currency} if amount is not None else {})


def of_invoice(event: str, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> list[Line]:
    """The lines of an invoice's own event: one for each amount that moved since the event before. None: nothing did."""
    if event in ("InvoiceHeld", "InvoiceHoldEnded"):
        outcome = body["outcome"] if event == "InvoiceHoldEnded" else "raised"
        return [Line(f"dispute_{outcome}", {"amount": Amount(**body["dispute_amount"]).money()})]
    if event == "InvoiceVoided" and body.get("reason"):
        return [Line("voided_because", {"reason": body["reason"]})]
    if event in OWN:
        return [Line(OWN[event])]
    settled, pending, credited = (_moved(name, body, before) for name in ("settled", "pending", "credited"))
    money = _of_payments(event, settled, pending, Amount(**body["pending"]).money())
    note = [Line("credited", {"amount": credited})] if credited else []
    if event == "InvoicePaid" and not settled:
        return [*money, Line("paid_by_credit_note", {"amount": credited})]
    if event == "InvoiceChanged" and body.get("uncredited") and not (money or note):
        return [Line("nothing_to_credit")]
    # A credit note that waited for the end of a payment comes after that.
    return [*money, *note] if pending.minor < 0 and event == "InvoiceChanged" else [*note, *money]


def _of_payments(event: str, settled: Money, pending: Money, all_pending: Money) -> list[Line]:
    """What moved but by credit notes. `all_pending`: of the last payments under way, one may have begun before."""
    if settled.minor > 0:
        return [Line("paid" if event == "InvoicePaid" else "part_paid", {"amount": settled})]
    if settled.minor < 0:
        return [Line("reopened" if event == "InvoiceReopened" else "part_went_back", {"amount": -settled})]
    if event == "InvoiceInProgress":
        return [Line("all_under_way", {"amount": pending if pending.minor > 0 else all_pending})]
    if pending.minor > 0:
        return [Line("part_under_way", {"amount": pending})]
    return [Line("ended_without_money")] if pending else []


def _moved(name: str, body: Mapping[str, Any], before: Mapping[str, Any] | None) -> Money:
    now = Amount(**body[name]).money()
    return now - Amount(**before[name]).money() if before else now


def of_payment(event: str, body: Mapping[str, Any]) -> Line:
    """The line of an event that is not the invoice's: about a payment or a credit note of it, or about autopay."""
    if event == "CreditNoteIssued":
        left = Amount(**body["amount"]).money() - Amount(**body["applied"]).money()
        return Line("left_as_credit", {"amount": left, "number": body["number"]})
    if event == "AutopayChanged":
        changed = "autopay_changed" if body["enabled"] else "autopay_off"
        return Line("autopay_held" if body.get("held_reason") else changed)
    if event == "PaymentReversed":
        code, name = GONE["void" if body.get("voided") else body.get("kind") or "return"], "taken"
    else:
        code, name = HEARD[event]
    amount = {"amount": Amount(**body[name]).money()} if body.get(name) else {}
    return Line(code, amount | ({"day": body["charge_on"]} if "charge_on" in body else {}))


def shown(events: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], Line]]:
    """What an invoice's timeline shows: each line with its event.

    Changes of autopay only where a charge of it had been announced; credit notes only where some of them is credit, as
    the invoice's own line says what they took off it.
    """
    kept: list[tuple[Mapping[str, Any], Line]] = []
    announced = False
    for event in events:
        if event["type"] != "AutopayChanged" or announced:
            kept += [(event, line) for line in _lines(event)]
        announced = event["type"] == "AutopayScheduled" or (
            announced and not event["type"].startswith(("Autopay", "InvoicePaid"))
        )
    return kept


def _lines(event: Mapping[str, Any]) -> list[Line]:
    body = event["payload"]
    if "before" in event:
        return of_invoice(event["type"], body, event["before"])
    if event["type"] == "CreditNoteIssued" and body["amount"] == body["applied"]:
        return []
    return [of_payment(event["type"], body)]


def _disputed(events: Sequence[Mapping[str, Any]]) -> Money | None:
    """What the newest chargeback that has not been decided is about."""
    over = {each["payload"].get("reversal_id") for each in events if each["type"] != "PaymentDisputed"}
    opened = [each["payload"] for each in events if each["type"] == "PaymentDisputed"]
    undecided = [Amount(**body["disputed"]).money() for body in opened if body["reversal_id"] not in over]
    return undecided[-1] if undecided else None


def _announced(events: Sequence[Mapping[str, Any]], today: date) -> str | None:
    """The day on which autopay will charge the invoice; None if no charge is planned."""
    last = next((each for each in reversed(events) if each["type"].startswith(("Autopay", "InvoicePaid"))), None)
    day: str = last["payload"].get("charge_on", "") if last else ""  # none: autopay was changed, or it was paid, since
    return day if day >= today.isoformat() else None


def _all_held(invoice: Invoice, day: str) -> bool:
    """Whether autopay will leave all of it out on a day, because disputes were rejected shortly before."""
    until = invoice.held_until.isoformat() if invoice.held_until else ""
    return day <= until and invoice.held == invoice.balance


def next_step(
    invoice: Invoice, under_way: Sequence[Mapping[str, Any]], today: date, events: Sequence[Mapping[str, Any]] = ()
) -> Line | None:
    """What the invoice waits for; None if it waits for nothing. `events`: those of the invoice and its payments."""
    if under_way:
        awaited = max((each["expected_by"] for each in under_way if each["expected_by"]), default=None)
        if awaited is None:
            return Line("confirmation_awaited")
        return Line("confirmed_by" if awaited >= today else "confirmation_late", {"day": awaited.isoformat()})
    if invoice.state == "draft":
        return Line("to_be_issued")
    if invoice.state != "open":
        return Line("chargeback_undecided", {"amount": disputed}) if (disputed := _disputed(events)) else None
    if invoice.disputed and invoice.disputed == invoice.balance:
        return Line("in_dispute")
    if (charge_on := _announced(events, today)) and not _all_held(invoice, charge_on):
        return Line("charged_on", {"day": charge_on})
    due, late = {"day": invoice.due_on.isoformat()}, (today - invoice.due_on).days
    if not invoice.overdue(today):
        return Line("due", due)
    return Line("overdue" if late > 1 else "overdue_since_yesterday", due | {"days": late})
