"""Makes the events about payments."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from contracts import payments as says
from contracts.allocation import Part
from contracts.envelope import Amount, Message, message
from contracts.invoicing import AllocatedPart
from contracts.money import Money
from payments.collecting.domain.payment_numbers import number_of
from payments.collecting.domain.payments import Step

_EVENTS: dict[str, type[says.PaymentState]] = {
    "submitted": says.PaymentSubmitted,
    "succeeded": says.PaymentSucceeded,
    "declined": says.PaymentDeclined,
    "cancelled": says.PaymentCancelled,
    "unknown": says.PaymentUnknown,
    "reconciled": says.PaymentReconciled,
    "overdue": says.PaymentReconciliationOverdue,
    "refund_requested": says.PaymentRefundRequested,
    "refund_failed": says.PaymentRefundFailed,
    "disputed": says.PaymentDisputed,
    "dispute_won": says.PaymentDisputeWon,
    "reversed": says.PaymentReversed,
    "action_required": says.PaymentActionRequired,
    "expired": says.PaymentExpired,
}


def payment_events(steps: Iterable[Step], now: datetime) -> list[Message]:
    """Make the events of steps. A step that is `moved` has none."""
    return [_of(step, now) for step in steps if step.what != "moved"]


def _of(step: Step, now: datetime) -> Message:
    payment, more = step.payment, _about(step)
    event = _EVENTS[step.what].model_construct(
        payment_id=payment.id,
        customer_id=payment.customer_id,
        way=payment.way,
        status=payment.status,
        reconciliation=payment.reconciliation,
        reason=payment.reason,
        amount=Amount.of(payment.amount),
        surcharge=Amount.of(payment.surcharge),
        total=Amount.of(payment.total),
        asked=tuple(_part(part) for part in payment.asked),
        effective_on=step.posting.effective_on if step.posting else payment.effective_on,
        expected_by=payment.expected_by,
        credit_used=Amount.of(Money(payment.credit_used, payment.amount.currency)) if payment.credit_used else None,
        on_account=payment.on_account or None,
        number=number_of(payment.id),
        **more,
    )
    return message(event, sequence=payment.sequence, time=now, customer=payment.customer_id)


def _about(step: Step) -> dict[str, Any]:
    """The fields about the reversal of a step."""
    reversal = step.reversal
    if reversal is None:
        return {}
    match step.what:
        case "reversed":
            return {
                "code": reversal.code or "unknown",
                "reversed": Amount.of(Money(step.payment.reversed, reversal.amount.currency)),
                "reversal_id": reversal.id,
                **({"voided": True} if reversal.kind == "void" else {"kind": reversal.kind}),
                "taken": Amount.of(reversal.amount),
            }
        case "disputed" | "dispute_won":
            return {
                "reversal_id": reversal.id,
                "code": reversal.code or "unknown",
                "disputed": Amount.of(reversal.total),
            }
        case _:
            came_back = {"came_back": Amount.of(reversal.amount)} if step.posting else {}  # it had gone before
            return {"reversal_id": reversal.id, "refund": Amount.of(reversal.amount), **came_back}


def _part(part: Part) -> AllocatedPart:
    return AllocatedPart.model_construct(invoice_id=part.invoice_id, amount=Amount.of(part.amount))
