"""Decides what follows from the provider's record of a charge. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from contracts.ids import new_id
from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.domain.payments import (
    PAYER_CANCELLED,
    TIME_TO_ACT,
    Payment,
    Reversal,
    Step,
    cancel,
    expire,
    poll_later,
    step_of,
)
from payments.collecting.domain.reversals import SeenBack, follow_back, settled_back
from payments.ledger import Entry, Posting
from payments.providers.codes import Code, meaning


@dataclass(frozen=True, slots=True)
class Seen:
    """The provider's state of a charge. `evidence`: it is from the provider's own record, not the reply to our call.

    `asked`: the record was requested because of what is known here, so it is not older than that.
    """

    provider_id: str
    state: Literal["succeeded", "processing", "requires_action", "declined", "cancelled", "open"]
    captured: Money
    on: date
    reason: str | None
    evidence: bool
    back: tuple[SeenBack, ...] = ()
    next_action_url: str | None = None
    asked: bool = False


def observe(payment: Payment, seen: Seen, now: datetime, reversals: Sequence[Reversal] = ()) -> list[Step]:
    """Return the steps that follow from it; `reversals`: those known here. Order and repetition don't matter."""
    steps: list[Step] = []
    if seen.state == "succeeded":
        steps += _succeed(payment, seen, now)
    elif not payment.final:
        steps += _not_yet(payment, seen, now)
    latest = steps[-1].payment if steps else payment
    if seen.evidence and latest.reconciliation == "matched":
        steps += follow_back(latest, reversals, seen.back, now, asked=seen.asked)
        if seen.asked:
            steps += settled_back(steps[-1].payment if steps else payment, reversals, steps)
    return steps


def _not_yet(payment: Payment, seen: Seen, now: datetime) -> list[Step]:
    if seen.state == "requires_action":
        return _action_required(payment, seen, now)
    overtime = payment.status == "requires_action" and payment.act_by is not None and payment.act_by <= now
    if seen.state == "cancelled" and overtime and not payment.given_up:
        return [expire(payment)]
    cancelled = PAYER_CANCELLED if payment.given_up else seen.reason or "cancelled_by_provider"
    payment = replace(payment, next_action_url=None, act_by=None) if seen.state != "open" else payment
    if seen.state == "declined":
        ended = step_of(
            payment, "declined", status="declined", reason=seen.reason or "declined", reconciliation=None,
            allocations=(), expected_by=None, next_poll_at=None, provider_id=seen.provider_id,
        )  # fmt: skip
        return [ended]
    if seen.state == "cancelled":
        return [cancel(replace(payment, provider_id=seen.provider_id), cancelled)]
    if seen.state == "processing" and (payment.status != "processing" or payment.provider_id is None):
        moved = replace(payment, status="processing", provider_id=seen.provider_id)
        return [Step(poll_later(moved, now), "moved")]
    return []


def _action_required(payment: Payment, seen: Seen, now: datetime) -> list[Step]:
    """The payer has to confirm at the bank. A charge that was in a later state does not come back to this one."""
    if payment.status not in ("submitted", "reserved", "unknown"):
        return []
    step = step_of(
        payment, "action_required", status="requires_action", provider_id=seen.provider_id,
        next_action_url=seen.next_action_url, act_by=now + TIME_TO_ACT,
    )  # fmt: skip
    return [replace(step, payment=poll_later(step.payment, now))]


def _succeed(payment: Payment, seen: Seen, now: datetime) -> list[Step]:
    payment = replace(payment, next_action_url=None, act_by=None)
    if payment.reconciliation == "matched":
        return []
    if payment.status in ("declined", "cancelled", "expired"):
        # Money came although the provider had said that it would not: a person has to look.
        if payment.reconciliation == "exception":
            return []
        reason = f"charged_after_{payment.status}"
        late = step_of(payment, "overdue", reconciliation="exception", reason=reason, provider_id=seen.provider_id)
        return [replace(late, opens="missing_here")]
    if not seen.evidence:
        if payment.status == "succeeded":
            return []
        step = step_of(payment, "succeeded", status="succeeded", provider_id=seen.provider_id)
        return [replace(step, payment=poll_later(step.payment, now))]
    if seen.captured != payment.total:
        if payment.reconciliation == "mismatch":
            return []
        step = step_of(
            payment, "succeeded", status="succeeded", reconciliation="mismatch", reason="amount_differs",
            provider_id=seen.provider_id, next_poll_at=None,
        )  # fmt: skip
        same = seen.captured.currency == payment.amount.currency
        return [replace(step, opens="wrong_amount" if same else "wrong_currency", about=seen.captured)]
    return _reconciled(payment, seen)


def _reconciled(payment: Payment, seen: Seen) -> list[Step]:
    """Reconcile the payment with the charge: it settles its invoices, and the ledger books it."""
    told = [] if payment.status == "succeeded" else [step_of(payment, "succeeded", status="succeeded")]
    payment = told[0].payment if told else payment
    step = step_of(
        payment, "reconciled", status="succeeded", reconciliation="matched", reason=None, effective_on=seen.on,
        provider_id=seen.provider_id, next_poll_at=None,
    )  # fmt: skip
    entries: list[Entry] = [("psp_clearing", payment.total), ("customer_funds", -payment.amount)]
    if payment.surcharge:
        entries.append(("surcharge_income", -payment.surcharge))
    posting = Posting(new_id(), payment.id, payment.customer_id, "charge", seen.on, tuple(entries))
    return [*told, replace(step, posting=posting, closes=payment.reconciliation in ("exception", "mismatch"))]


def accept(payment: Payment, seen: Seen, now: datetime, reversals: Sequence[Reversal] = ()) -> list[Step] | Refusal:
    """Make the payment what the provider took, although the amount differs or the payment had ended.

    A person decides this. The surcharge keeps its share. The rest pays the invoices of the payment; more than that
    becomes credit. Credit that was released when the payment ended is not used again.
    """
    currency = payment.amount.currency
    if payment.way != "collect" or payment.reconciliation not in ("mismatch", "exception"):
        return Refusal("agrees-already", "This payment is not in doubt: there is nothing to accept.", conflict=True)
    if seen.state != "succeeded" or not seen.captured:
        detail = "The provider's record has no money of this payment. Wait for it, or cancel it there."
        return Refusal("no-money-there", detail, conflict=True)
    if seen.captured.currency != currency:
        return _end_in_other_currency(payment, seen)
    share = Money(payment.surcharge.minor * seen.captured.minor // payment.total.minor, currency)
    surcharge = share.capped_at(payment.surcharge)
    taken = replace(
        payment, amount=seen.captured - surcharge, surcharge=surcharge, allocations=(), next_action_url=None,
        act_by=None, credit_used=0 if payment.without_money else payment.credit_used,
    )  # fmt: skip
    steps = [replace(step, closes=False) for step in _reconciled(taken, seen)]  # the person closes it
    steps += follow_back(steps[-1].payment, reversals, seen.back, now)
    again = poll_later(replace(steps[-1].payment, polls=0), now)  # the record may have changed since it was read
    return [*steps, Step(again, "moved")]


def _end_in_other_currency(payment: Payment, seen: Seen) -> list[Step] | Refusal:
    """Money of another currency pays nothing here. When it was refunded, the payment ends and frees its invoices."""
    back = sum(each.amount.minor for each in seen.back if each.state == "succeeded")
    if back < seen.captured.minor:
        detail = (
            f"The provider took {seen.captured.currency}, and the invoices are in {payment.amount.currency}. Give it "
            "back at the provider; then accept this, and the invoices can be paid again."
        )
        return Refusal("other-currency", detail, conflict=True)
    ended = cancel(payment, "taken_in_another_currency")
    return [replace(ended, payment=replace(ended.payment, reconciliation="exception"), closes=False)]


def consequence(codes: Sequence[Code], step: Step, on: date) -> Code | None:
    """The meaning of a decline, a return or a new chargeback for the payment's method; None for other steps."""
    if step.what == "declined":
        return meaning(codes, "decline", step.payment.reason, on)
    reversal = step.reversal
    if reversal is None or reversal.kind == "refund" or reversal.kind == "void":
        return None
    opened = step.what == "disputed" or (step.what == "reversed" and reversal.kind == "return")
    return meaning(codes, reversal.kind, reversal.code, on) if opened else None
