"""Payouts: the provider's money on its way to the company's bank account. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from contracts.ids import new_id
from contracts.money import Money, total
from payments.exceptions.domain import ExceptionClass
from payments.ledger import Entry, Posting, PostingKind

ABOUT_CHARGES = frozenset({"charge", "refund", "return", "chargeback"})


@dataclass(frozen=True, slots=True)
class Movement:
    """A line of a payout: `net` = `amount` - `fee`. `charge_id`: the provider's id of the charge behind it."""

    provider_id: str
    kind: str
    charge_id: str | None
    amount: Money
    fee: Money


@dataclass(frozen=True, slots=True)
class Stray:
    """A line of a payout that does not agree with what payments knows."""

    movement: Movement
    why: ExceptionClass


def arrived(payout_id: str, amount: Money, movements: Sequence[Movement], on: date) -> Posting:
    """Book a payout that the provider has paid: Σ gross leaves the clearing account, to the bank and as fees.

    Raises ValueError if Σ (gross - fees) of the lines is not the payout's amount.
    """
    gross = total([each.amount for each in movements], amount.currency)
    fees = total([each.fee for each in movements], amount.currency)
    if gross - fees != amount:
        raise ValueError(f"the lines of payout {payout_id} come to {gross - fees}, not to {amount}")
    return _posting(payout_id, "payout", on, ("bank", amount), ("fees", fees), ("psp_clearing", -gross))


def kept_by_bank(payout_id: str, fee: Money, on: date) -> Posting:
    """Book a fee that the bank kept of a booked payout."""
    return _posting(payout_id, "payout_fee", on, ("fees", fee), ("bank", -fee))


def came_back(payout_id: str, amount: Money, bank_fee: Money, on: date) -> Posting:
    """Book back a payout that failed: its money is at the provider again, but not the provider's fees."""
    left = amount - bank_fee
    return _posting(payout_id, "payout_failed", on, ("psp_clearing", amount), ("bank", -left), ("fees", -bank_fee))


def _posting(payout_id: str, kind: PostingKind, on: date, *entries: Entry) -> Posting:
    booked = tuple(each for each in entries if each[1])
    return Posting(new_id(), None, None, kind, on, booked, payout_id=payout_id)


def sum_alone(payout_id: str, amount: Money) -> Movement:
    """The one movement of a payout made by hand. It lists no charges and fees, so they stay in the clearing account."""
    return Movement(payout_id, "by_hand", None, amount, amount - amount)


def comes_again(movement: Movement) -> Movement:
    """A movement that was booked with a failed payout before. Its fee counted then; only the net leaves again."""
    net = movement.amount - movement.fee
    return replace(movement, kind="payout_failed", charge_id=None, amount=net, fee=net - net)


def strays(movements: Sequence[Movement], charged: Mapping[str, Money]) -> list[Stray]:
    """Find movements of charges that are no payments here, or that have another sum than the payment.

    `charged`: totals of payments, by the provider's id of the charge.
    """
    found: list[Stray] = []
    for each in movements:
        ours = charged.get(each.charge_id or "")
        if ours is None and each.kind in ABOUT_CHARGES:
            found.append(Stray(each, "missing_here"))
        elif ours is not None and each.kind == "charge" and ours != each.amount:
            found.append(Stray(each, "wrong_amount" if ours.currency == each.amount.currency else "wrong_currency"))
    return found
