"""Payouts: the provider's money on its way to the company's bank account. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from contracts.ids import new_id
from contracts.money import Money, total
from payments.exceptions.domain import ExceptionClass

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
class PayoutPosting:
    """One ledger transaction of a payout: signed amounts by account, debit above zero, summing to zero."""

    id: str
    payout_id: str
    kind: Literal["payout", "payout_fee", "payout_failed"]
    effective_on: date
    entries: tuple[tuple[str, Money], ...]


@dataclass(frozen=True, slots=True)
class Stray:
    """A line of a payout that does not agree with what payments knows."""

    movement: Movement
    why: ExceptionClass


def arrived(payout_id: str, amount: Money, movements: Sequence[Movement], on: date) -> PayoutPosting:
    """The provider has paid out: Σ gross leaves its clearing account, to the bank and as its fees.

    ValueError: the lines are not the payout, Σ gross - fees.
    """
    gross = total([each.amount for each in movements], amount.currency)
    fees = total([each.fee for each in movements], amount.currency)
    if gross - fees != amount:
        raise ValueError(f"the lines of payout {payout_id} come to {gross - fees}, not to {amount}")
    entries = tuple(each for each in (("bank", amount), ("fees", fees), ("psp_clearing", -gross)) if each[1])
    return PayoutPosting(new_id(), payout_id, "payout", on, entries)


def kept_by_bank(payout_id: str, fee: Money, on: date) -> PayoutPosting:
    """A booked payout arrived with so much less, which the bank kept."""
    return PayoutPosting(new_id(), payout_id, "payout_fee", on, (("fees", fee), ("bank", -fee)))


def came_back(payout_id: str, amount: Money, bank_fee: Money, on: date) -> PayoutPosting:
    """A payout that was booked failed after all: its money, not the provider's fees, is at the provider again."""
    entries = (("psp_clearing", amount), ("bank", bank_fee - amount), ("fees", -bank_fee))
    return PayoutPosting(new_id(), payout_id, "payout_failed", on, tuple(each for each in entries if each[1]))


def sum_alone(payout_id: str, amount: Money) -> Movement:
    """A payout that somebody made by hand: it says nothing of charges and fees, which stay in the clearing account."""
    return Movement(payout_id, "by_hand", None, amount, amount - amount)


def comes_again(movement: Movement) -> Movement:
    """A line of an earlier payout that was booked and failed: its fee counted then, and what is left leaves again."""
    net = movement.amount - movement.fee
    return replace(movement, kind="payout_failed", charge_id=None, amount=net, fee=net - net)


def strays(movements: Sequence[Movement], charged: Mapping[str, Money]) -> list[Stray]:
    """Movements of a payout about charges that are no payments of ours, or of another sum.

    `charged`: totals of payments by the provider's id.
    """
    found: list[Stray] = []
    for each in movements:
        ours = charged.get(each.charge_id or "")
        if ours is None and each.kind in ABOUT_CHARGES:
            found.append(Stray(each, "missing_here"))
        elif ours is not None and each.kind == "charge" and ours != each.amount:
            found.append(Stray(each, "wrong_amount" if ours.currency == each.amount.currency else "wrong_currency"))
    return found
