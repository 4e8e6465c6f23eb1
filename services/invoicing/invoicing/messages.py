"""The events of invoicing, made of the facts of its book."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from chassis.messaging.records import Record
from contracts import invoicing as says
from contracts.allocation import Part
from contracts.envelope import Amount, Envelope, Message, message
from contracts.money import Money
from contracts.refusals import Refusal
from invoicing.domain import Applied, Change, Credit, CreditNote, Fact, Invoice, Reservation, Settlement, TakenBack

_INVOICE_EVENTS: dict[str, type[says.InvoiceState]] = {
    "issued": says.InvoiceIssued,
    "changed": says.InvoiceChanged,
    "in_progress": says.InvoiceInProgress,
    "paid": says.InvoicePaid,
    "reopened": says.InvoiceReopened,
    "voided": says.InvoiceVoided,
    "held": says.InvoiceHeld,
    "hold_ended": says.InvoiceHoldEnded,
}


def of(facts: Iterable[Fact], now: datetime) -> list[Message]:
    """The events of facts, in their order."""
    return [_of(fact, now) for fact in facts]


def _of(fact: Fact, now: datetime) -> Message:
    match fact:
        case Change(invoice=invoice):
            return message(_invoice(fact), sequence=invoice.sequence, time=now, customer=invoice.customer_id)
        case Reservation():
            return message(_reservation(fact), sequence=fact.sequence, time=now, customer=fact.customer_id)
        case Settlement():
            return message(_settlement(fact), sequence=fact.sequence, time=now, customer=fact.customer_id)
        case Applied(now=now_):
            return message(_applied(fact), sequence=now_.sequence, time=now, customer=now_.customer_id)
        case TakenBack(left=left):
            return message(_taken_back(fact), sequence=left.sequence, time=now, customer=left.customer_id)
        case Credit(note=CreditNote() as note):
            return message(_credit_note(fact, note), sequence=fact.sequence, time=now, customer=fact.customer_id)
        case Credit():
            return message(_credit(fact), sequence=fact.sequence, time=now, customer=fact.customer_id)


def _invoice(change: Change) -> says.InvoiceState:
    invoice = change.invoice
    more: dict[str, Any] = {"reason": change.reason} if change.what == "voided" else {}
    if change.lines is not None:
        more["lines"] = tuple(_amount(invoice, minor) for minor in change.lines)
    if change.dispute is not None and change.what in ("held", "hold_ended"):
        more |= {"dispute_id": change.dispute.id, "dispute_amount": _amount(invoice, change.dispute.amount)}
        more |= {"outcome": change.dispute.state} if change.what == "hold_ended" else {}
    if change.uncredited:
        more["uncredited"] = change.uncredited
    if invoice.held:
        more["held"] = _amount(invoice, invoice.held)
        more |= {"held_until": invoice.held_until} if invoice.held_until else {}
        more |= {"disputed": _amount(invoice, invoice.disputed)} if invoice.disputed else {}
    return _INVOICE_EVENTS[change.what].model_construct(
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        number=invoice.number,
        status=invoice.status,
        issued_on=invoice.issued_on,
        due_on=invoice.due_on,
        total=_amount(invoice, invoice.total),
        credited=_amount(invoice, invoice.credited),
        settled=_amount(invoice, invoice.settled),
        balance=_amount(invoice, invoice.balance),
        pending=_amount(invoice, invoice.pending),
        payable_now=_amount(invoice, invoice.payable_now),
        payment_id=change.payment_id,
        **more,
    )


def _amount(invoice: Invoice, minor: int) -> Amount:
    return Amount.of(Money(minor, invoice.currency))


def _parts(parts: Iterable[Part]) -> tuple[says.AllocatedPart, ...]:
    return tuple(says.AllocatedPart(invoice_id=part.invoice_id, amount=Amount.of(part.amount)) for part in parts)


def _reservation(reservation: Reservation) -> says.ReservationState:
    who = {"payment_id": reservation.payment_id, "customer_id": reservation.customer_id}
    if reservation.state == "refused":
        return says.ReservationRefused(**who, reason="invoice_changed", invoice_id=reservation.refused_by or "")
    if reservation.state == "released":
        return says.ReservationReleased(**who)
    held = Money(sum(part.amount.minor for part in reservation.parts), reservation.currency)
    return says.ReservationPlaced(**who, amount=Amount.of(held))


def _settlement(settlement: Settlement) -> says.SettlementPosted:
    return says.SettlementPosted(
        payment_id=settlement.payment_id,
        customer_id=settlement.customer_id,
        allocations=_parts(settlement.parts),
        credit=Amount.of(settlement.credit),
        effective_on=settlement.effective_on,
        by_credit=None if settlement.by_credit is None else _parts(settlement.by_credit),
    )


def _taken_back(taken: TakenBack) -> says.SettlementReversed:
    return says.SettlementReversed(
        payment_id=taken.left.payment_id,
        customer_id=taken.left.customer_id,
        allocations=_parts(taken.parts),
        credit=Amount.of(taken.credit),
        effective_on=taken.left.effective_on,
        left=_parts(taken.left.parts),
        credit_left=Amount.of(taken.left.credit),
    )


def _applied(applied: Applied) -> says.CreditApplied:
    return says.CreditApplied(
        payment_id=applied.now.payment_id,
        customer_id=applied.now.customer_id,
        allocations=_parts(applied.parts),
        credit=Amount.of(applied.credit),
        effective_on=applied.now.effective_on,
        applied_by=applied.applied_by,
        left=_parts(applied.now.parts),
        credit_left=Amount.of(applied.now.credit),
    )


def _credit(credit: Credit) -> says.CreditChanged:
    return says.CreditChanged(
        credit_id=credit.id,
        customer_id=credit.customer_id,
        payment_id=credit.payment_id,
        amount=Amount.of(Money(credit.amount, credit.currency)),
        balance=Amount.of(Money(credit.balance, credit.currency)),
        available=Amount.of(Money(credit.available, credit.currency)),
    )


def _credit_note(credit: Credit, note: CreditNote) -> says.CreditNoteState:
    def amount(minor: int) -> Amount:
        return Amount.of(Money(minor, note.currency))

    event = says.CreditNoteIssued if credit.sequence == 1 else says.CreditNoteChanged
    return event(
        credit_note_id=note.id,
        customer_id=note.customer_id,
        number=note.number,
        invoice_id=note.invoice_id,
        dispute_id=note.dispute_id,
        issued_on=note.issued_on,
        amount=amount(note.amount),
        applied=amount(note.applied),
        balance=amount(credit.balance),
        available=amount(credit.available),
    )


def customer_changed(customer: Mapping[str, Any], sequence: int, now: datetime) -> Message:
    known = {name: customer[name] for name in ("external_id", "name", "email", "address", "account_manager")}
    event = says.CustomerChanged(customer_id=customer["id"], **known)
    return message(event, sequence=sequence, time=now, customer=customer["id"])


def accepted(command_id: str, command: str, resource_id: str, now: datetime) -> Message:
    event = says.CommandAccepted(command_id=command_id, command=command, resource_id=resource_id)
    return message(event, sequence=1, time=now)


def refused(command_id: str, command: str, why: Refusal, now: datetime) -> Message:
    event = says.CommandRefused(
        command_id=command_id, command=command, code=why.code, detail=why.detail, field=why.field
    )
    return message(event, sequence=1, time=now)


def unreadable(record: Record, why: str, now: datetime) -> Message:
    """The answer to a command whose headers can't be read: without an id, the record's place is its id."""
    place = f"{record.topic}/{record.partition}/{record.offset}"
    key = (record.key or b"").decode(errors="replace")[:100]
    return refused(place, "unreadable", Refusal("unreadable-command", f"{why} (key {key!r}); it was not taken"), now)


def unknown_command(envelope: Envelope, now: datetime) -> Message:
    """The answer to a command of an unknown type."""
    detail = f"there is no command {envelope.type}; there are CreateCustomer and IssueInvoice"
    return refused(envelope.id, envelope.type, Refusal("unknown-command", detail, "ce_type"), now)
