"""Reversals of reconciled payments: refunds, bank returns, chargebacks, voids. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal

from contracts.ids import new_id
from contracts.money import Money, total
from contracts.payments import ReversalKind
from contracts.refusals import Refusal
from payments.collecting.domain.payments import Payment, Reversal, Step, poll_later, step_of
from payments.ledger import Account, Entry, Posting, PostingKind

NOTHING_BACK = frozenset({"failed", "won"})
FAILED_LATER = "failed_after_success"
VOIDED = "voided"
NO_ROOM = "went_without_room"  # a failed refund went after all, but nothing is left of the payment to book it from


@dataclass(frozen=True, slots=True)
class SeenBack:
    """Money that goes back, as the provider's record has it, with surcharge. `reversal_id`: our refund, if it is one.

    `asked`: the record was requested because of what is known here.
    """

    provider_id: str
    kind: ReversalKind
    state: Literal["processing", "open", "succeeded", "failed", "won"]
    amount: Money
    on: date
    code: str | None = None
    reversal_id: str | None = None
    asked: bool = False


def refund(
    payment: Payment, reversals: Sequence[Reversal], minor: int | None, reason: str, *, now: datetime, today: date
) -> Step | Refusal:
    """Refund `minor` units of the payment's amount, or all that is left, with surcharge in proportion.

    For money that came through the provider, the provider is asked. Offline money counts as given back at once.
    """
    refusal = _refuse_refund(payment, reversals, minor)
    if refusal is not None:
        return refusal
    left = _left(payment, reversals)
    amount = left.amount if minor is None else Money(minor, left.amount.currency)
    made = Reversal(
        new_id(), payment.id, payment.customer_id, "refund", "requested", amount, _in_proportion(payment, left, amount),
        now, code="refund", reason=reason,
    )  # fmt: skip
    counted = replace(_counted(payment, made), polls=0)
    if payment.way == "receive":
        return _gone(counted, made, today)
    return replace(step_of(counted, "refund_requested"), reversal=made)


def _refuse_refund(payment: Payment, reversals: Sequence[Reversal], minor: int | None) -> Refusal | None:
    if payment.reconciliation != "matched":
        detail = f"Only reconciled money can be given back; this payment is {payment.status}."
        return Refusal("not-reconciled", detail, conflict=True)
    under_way = next((each for each in reversals if each.state == "open"), None)
    if under_way is not None:
        detail = f"A {under_way.kind} of this payment is open; wait until the bank has decided it."
        return Refusal("dispute-open", detail, conflict=True)
    if payment.by_credit_alone:
        detail = "Only credit was used, so there is nothing to give back of it: refund the payment the credit came of."
        return Refusal("paid-by-credit", detail, conflict=True)
    if payment.reason == VOIDED:
        return Refusal("voided-already", "This receipt was voided: no money of it came.", conflict=True)
    left = _left(payment, reversals).amount
    if not left:
        return Refusal("nothing-left", "All of this payment has gone back already, or is on its way.", conflict=True)
    if minor is not None and minor > left.minor:
        detail = f"At most {left.minor} minor units of this payment can be given back."
        return Refusal("more-than-left", detail, "amount_minor")
    return None


@dataclass(frozen=True, slots=True)
class _Left:
    amount: Money
    surcharge: Money


def _left(payment: Payment, reversals: Sequence[Reversal]) -> _Left:
    """The money that has not gone back and will not."""
    counted = [each for each in reversals if each.state not in NOTHING_BACK]
    currency = payment.amount.currency
    return _Left(
        payment.amount - total([each.amount for each in counted], currency),
        payment.surcharge - total([each.surcharge for each in counted], currency),
    )


def _in_proportion(payment: Payment, left: _Left, amount: Money) -> Money:
    """The surcharge that goes back with an amount: the share of all that has gone so far, less what went before."""
    gone = payment.amount - left.amount + amount
    due = Money(payment.surcharge.minor * gone.minor // payment.amount.minor, amount.currency)
    return (due - (payment.surcharge - left.surcharge)).capped_at(left.surcharge)


def void(payment: Payment, reversals: Sequence[Reversal], reason: str, now: datetime) -> Step | Refusal:
    """Void a receipt that was recorded or posted in error: all of it goes back, on the day from which it counted."""
    if payment.way != "receive":
        detail = "Only what was received offline or at the bank can be voided; what the provider took is refunded."
        if payment.by_credit_alone:
            detail = "Credit paid this, and no money came. Void or refund the payment that the credit came of."
        return Refusal("not-a-receipt", detail, conflict=True)
    if payment.reason == VOIDED:
        return Refusal("voided-already", "This receipt has been voided already.", conflict=True)
    if reversals or payment.effective_on is None:
        detail = "Money of this receipt has gone back, so it came. Give back what is left of it, and record it anew."
        return Refusal("gone-back-already", detail, conflict=True)
    made = Reversal(
        new_id(), payment.id, payment.customer_id, "void", "requested", payment.amount, payment.surcharge, now,
        "recorded_in_error", reason,
    )  # fmt: skip
    return _gone(_counted(payment, made), made, payment.effective_on)


def taken_by_bank(
    payment: Payment, reversals: Sequence[Reversal], on: date, now: datetime, part: Money | None = None
) -> Step | None:
    """Reverse a transfer that the bank takes back: all that is left of it, or `part`; None if less than that is left.

    The bank takes the whole transfer. If some of it had gone back before, a person claims that part.
    """
    left = _left(payment, reversals)
    money = left.amount if part is None else part
    if not _sum(left) or left.amount < money:
        return None
    made = Reversal(
        new_id(), payment.id, payment.customer_id, "return", "requested", money,
        left.surcharge if part is None else _in_proportion(payment, left, money), now, "bank_reversal",
    )  # fmt: skip
    return _gone(_counted(payment, made), made, on)


def follow_back(
    payment: Payment, reversals: Sequence[Reversal], back: Sequence[SeenBack], now: datetime, *, asked: bool = False
) -> list[Step]:
    """Return the steps that follow from the provider's record of money that goes back.

    Order and repetition don't matter. Failed and won ones come first, because they make room for the others. `asked`:
    the record was requested because of what is known here, so it is not older than that.
    """
    steps: list[Step] = []
    for seen in sorted(back, key=lambda each: each.state not in NOTHING_BACK):
        for step in _follow(payment, reversals, replace(seen, asked=asked), back, now):
            payment, reversals = step.payment, _with(reversals, step)
            steps.append(step)
    return steps


def _follow(
    payment: Payment, reversals: Sequence[Reversal], seen: SeenBack, record: Sequence[SeenBack], now: datetime
) -> list[Step]:
    """Move the known reversals on. If the provider takes more than those, make new ones, as far as there is room."""
    steps: list[Step] = []
    for known in (each for each in reversals if _is(each, seen)):
        step = _goes_on(payment, reversals, known, seen, now)
        if step is not None:
            steps.append(step)
            payment, reversals = step.payment, _with(reversals, step)
    parts = [each for each in reversals if _is(each, seen)]
    if seen.state in NOTHING_BACK and (steps or not parts):  # also the part without room does not go back any more
        return [*steps[:-1], _agrees(steps[-1] if steps else Step(payment, "moved"), seen)]
    if seen.state in NOTHING_BACK or (parts and all(each.state != seen.state for each in parts)):
        return steps  # seen before, or from an older record
    taken = [each.total for each in parts if each.state not in NOTHING_BACK]
    lacking = seen.amount - total(taken, seen.amount.currency)
    if lacking.minor <= 0:
        return steps
    return [*steps, *_unasked(payment, reversals, replace(seen, amount=lacking), record, now)]


def _goes_on(
    payment: Payment, reversals: Sequence[Reversal], known: Reversal, seen: SeenBack, now: datetime
) -> Step | None:
    match known.state, seen.state:
        case "failed", "succeeded":
            return _went_after_all(payment, reversals, known, seen, now)
        case "failed", "failed" if known.code == NO_ROOM:  # it did not go after all, so no person has to look
            return Step(payment, "moved", reversal=replace(known, code=seen.code or "failed"))
        case "succeeded", "failed":
            return _came_back(payment, known, seen.on)
    if known.state in ("succeeded", *NOTHING_BACK):
        return None
    return _next(payment, replace(known, provider_id=seen.provider_id, code=known.code or seen.code), seen, now)


def _went_after_all(
    payment: Payment, reversals: Sequence[Reversal], known: Reversal, seen: SeenBack, now: datetime
) -> Step | None:
    """A failed refund is shown as gone. That record may be older, so only a record that was requested for it counts."""
    if known.code == FAILED_LATER:
        return None
    room = _sum(_left(payment, reversals)) >= known.total
    if known.code == NO_ROOM and not room:
        return None
    if not seen.asked:
        waits = payment.next_poll_at is not None
        return None if waits else Step(poll_later(replace(payment, polls=0), now), "moved")
    if not room:
        told = replace(known, code=NO_ROOM, provider_id=seen.provider_id)
        return replace(_not_booked(payment, -known.total, seen), reversal=told)
    code = None if known.code == NO_ROOM else known.code
    gone = _gone(_counted(payment, known), replace(known, provider_id=seen.provider_id, code=code), seen.on)
    return _agrees(gone, seen)


def _agrees(step: Step, seen: SeenBack) -> Step:
    """The reversal agrees with the record now: its exception is closed."""
    return replace(step, closes=True, about_id=seen.provider_id)


def _not_booked(payment: Payment, rest: Money, seen: SeenBack) -> Step:
    """Open an exception: the provider took this amount (below zero), but nothing is left of the payment to book it."""
    return Step(payment, "moved", opens="wrong_amount", about=rest, about_id=seen.provider_id)


def _with(reversals: Sequence[Reversal], step: Step) -> list[Reversal]:
    changed = {each.id: each for each in reversals}
    return list((changed | ({step.reversal.id: step.reversal} if step.reversal else {})).values())


def _is(reversal: Reversal, seen: SeenBack) -> bool:
    return seen.provider_id == reversal.provider_id or (seen.reversal_id or "") == reversal.id


def _counted(payment: Payment, reversal: Reversal) -> Payment:
    return replace(payment, going_back=payment.going_back + reversal.total.minor)


def _next(payment: Payment, reversal: Reversal, seen: SeenBack, now: datetime) -> Step | None:
    match seen.state:
        case "succeeded":
            return _gone(payment, reversal, seen.on)
        case "failed" | "won":
            return _stays(payment, reversal, seen)
        case "open":
            return _disputed(payment, reversal, seen.on) if reversal.state == "requested" else None
        case "processing":
            return processing(payment, reversal, now) if reversal.state == "requested" else None


def _unasked(
    payment: Payment, reversals: Sequence[Reversal], seen: SeenBack, record: Sequence[SeenBack], now: datetime
) -> list[Step]:
    """Make reversals that were not requested here: the payer's bank took it, or a person refunded it at the provider.

    A bank return wins over a pending refund; the provider will refuse refunds that no longer fit. Never more goes back
    than is left. The rest is taken as another part later, if a refund turns out to have failed.
    """
    steps: list[Step] = []
    waiting = [each for each in reversals if each.state == "requested" and not any(_is(each, one) for one in record)]
    while waiting and _sum(_left(payment, reversals)) < seen.amount:
        steps.append(refused(payment, waiting.pop(), "taken_back_first"))
        payment, reversals = steps[-1].payment, _with(reversals, steps[-1])
    left = _left(payment, reversals)
    money = seen.amount.capped_at(_sum(left))
    if rest := money - seen.amount:
        steps.append(_not_booked(payment, rest, seen))
    if not money:
        return steps
    gone_by_then = payment.total - _sum(left) + money
    due = Money(payment.surcharge.minor * gone_by_then.minor // payment.total.minor, money.currency)
    surcharge = (due - (payment.surcharge - left.surcharge)).capped_at(left.surcharge)
    amount = (money - surcharge).capped_at(left.amount)
    part = 1 + sum(_is(each, seen) for each in reversals)
    made = Reversal(
        new_id(), payment.id, payment.customer_id, seen.kind, "requested", amount, money - amount, now, code=seen.code,
        provider_id=seen.provider_id, part=part,
    )  # fmt: skip
    step = _next(_counted(payment, made), made, seen, now)
    if step is None:
        return steps
    return [*steps, step if rest else _agrees(step, seen)]


def _sum(left: _Left) -> Money:
    return left.amount + left.surcharge


def processing(payment: Payment, reversal: Reversal, now: datetime) -> Step:
    """The provider has accepted a refund. Its record is polled until the refund has ended."""
    return Step(poll_later(payment, now), "moved", reversal=replace(reversal, state="processing"))


def refused(payment: Payment, reversal: Reversal, code: str) -> Step:
    """The provider refused a refund for good: the money has not moved."""
    return _ended(payment, replace(reversal, state="failed", code=code), "refund_failed")


def settled_back(payment: Payment, reversals: Sequence[Reversal], steps: Sequence[Step]) -> list[Step]:
    """Stop polling when no refund is under way, and no failed refund is shown as gone."""
    failed = {each.id for each in reversals if each.state == "failed"}
    latest = {each.id: each for each in reversals}
    latest |= {step.reversal.id: step.reversal for step in steps if step.reversal}
    open_ = any(each.state in ("requested", "processing") for each in latest.values())
    if payment.next_poll_at is None or open_ or any(latest[one].state == "succeeded" for one in failed):
        return []
    return [Step(replace(payment, next_poll_at=None), "moved")]


def _gone(payment: Payment, reversal: Reversal, on: date) -> Step:
    """The money has gone: the charge's posting is reversed for this amount, on the charge's day at the earliest."""
    on = max(on, payment.effective_on or on)
    held_by: Account = "bank" if payment.way == "receive" else "psp_clearing"
    entries: list[Entry] = [("customer_funds", reversal.amount), ("surcharge_income", reversal.surcharge)]
    entries.append(("disputed" if reversal.state == "open" else held_by, -reversal.total))
    changed = {
        "reversed": payment.reversed + reversal.total.minor,
        "reversed_surcharge": payment.reversed_surcharge + reversal.surcharge.minor,
        "disputed": payment.disputed - (reversal.total.minor if reversal.state == "open" else 0),
        "reason": _reason(payment, reversal),
    }
    gone = replace(reversal, state="succeeded", effective_on=on)
    return _booked(step_of(payment, "reversed", **changed), gone, "reversal", on, entries)


def _came_back(payment: Payment, reversal: Reversal, on: date) -> Step:
    """A succeeded refund did not arrive: its money is the customer's credit, and a person decides how to refund it."""
    changed = replace(
        payment, reversed=payment.reversed - reversal.total.minor,
        reversed_surcharge=payment.reversed_surcharge - reversal.surcharge.minor,
    )  # fmt: skip
    step = _ended(changed, replace(reversal, state="failed", code=FAILED_LATER), "refund_failed")
    entries: list[Entry] = [("psp_clearing", reversal.total), ("customer_funds", -reversal.amount)]
    entries.append(("surcharge_income", -reversal.surcharge))
    booked = _booked(step, step.reversal or reversal, "refund_failed", on, entries)
    return replace(booked, opens="missing_there", about=reversal.total, about_id=reversal.provider_id)


def _reason(payment: Payment, reversal: Reversal) -> str | None:
    match reversal.kind:
        case "refund":
            return payment.reason
        case "void":
            return VOIDED
        case "return":
            return f"returned_{reversal.code}"
        case "chargeback":
            return f"charged_back_{reversal.code}"


def _disputed(payment: Payment, reversal: Reversal, on: date) -> Step:
    """A chargeback is open: the payer's bank holds the money until it is decided."""
    on = max(on, payment.effective_on or on)
    step = step_of(payment, "disputed", disputed=payment.disputed + reversal.total.minor)
    entries: list[Entry] = [("disputed", reversal.total), ("psp_clearing", -reversal.total)]
    return _booked(step, replace(reversal, state="open"), "dispute", on, entries)


def _stays(payment: Payment, reversal: Reversal, seen: SeenBack) -> Step:
    """A refund failed, or the company won a chargeback: the money stays."""
    if seen.state == "failed":
        return _ended(payment, replace(reversal, state="failed", code=seen.code or reversal.code), "refund_failed")
    won = replace(payment, disputed=payment.disputed - reversal.total.minor)
    step = _ended(won, replace(reversal, state="won", effective_on=seen.on), "dispute_won")
    entries: list[Entry] = [("psp_clearing", reversal.total), ("disputed", -reversal.total)]
    return _booked(step, step.reversal or reversal, "dispute_won", seen.on, entries)


def _ended(payment: Payment, reversal: Reversal, what: Literal["refund_failed", "dispute_won"]) -> Step:
    step = step_of(payment, what, going_back=payment.going_back - reversal.total.minor)
    return replace(step, reversal=reversal)


def _booked(
    step: Step,
    reversal: Reversal,
    kind: PostingKind,
    on: date,
    entries: Sequence[Entry],
) -> Step:
    booked = tuple((account, money) for account, money in entries if money)
    posting = Posting(new_id(), reversal.payment_id, reversal.customer_id, kind, on, booked, reversal.id)
    return replace(step, posting=posting, reversal=reversal)
