"""Credit of a receipt that paid for other payments, and how it goes back. Values in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class CreditUse:
    """Credit of a receipt that paid `amount` of an invoice for a payment, in minor units; `gone` of it went back.

    `place`: the sequence of its event, among the events of the receipt.
    """

    receipt_id: str
    place: int
    invoice_id: str
    payment_id: str
    amount: int
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """Credit of a receipt that paid invoices for the payment `applied_by`; without that, money that went back."""

    receipt_id: str
    place: int
    parts: tuple[tuple[str, int], ...]
    applied_by: str | None = None


def follow_credit(uses: Sequence[CreditUse], moves: Sequence[Moved]) -> list[CreditUse]:
    """Return the uses that are new or changed after all moves, in their order.

    Money that goes back of an invoice is taken from the newest use of that invoice first. If it is more than all uses,
    the receipt had paid the rest by itself.
    """
    now = {(use.receipt_id, use.place, use.invoice_id): use for use in uses}
    for move in moves:
        for invoice_id, minor in move.parts:
            if move.applied_by is not None:
                use = CreditUse(move.receipt_id, move.place, invoice_id, move.applied_by, minor)
                now[use.receipt_id, use.place, use.invoice_id] = use
                continue
            theirs = [use for use in now.values() if (use.receipt_id, use.invoice_id) == (move.receipt_id, invoice_id)]
            for use in sorted(theirs, key=lambda each: each.place, reverse=True):
                share = min(minor, use.amount - use.gone)
                now[use.receipt_id, use.place, use.invoice_id] = replace(use, gone=use.gone + share)
                minor -= share
    return [use for use in now.values() if use not in uses]
