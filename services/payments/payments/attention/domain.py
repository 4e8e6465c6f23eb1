"""What needs a customer's attention, the most urgent first. Values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from contracts.money import Money
from payments.autopay.domain import Autopay
from payments.collecting.domain.payment_numbers import number_of
from payments.collecting.domain.payments import Payment, Reversal
from payments.methods.domain.methods import Method

Code = Literal[
    "payment_needs_confirmation", "payment_not_confirmed", "payment_returned", "payment_disputed", "autopay_held",
    "method_expired", "method_expires_soon", "method_unverified",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """`text` is the code with its values in English: another language is rendered from these."""

    code: Code
    text: str
    values: Mapping[str, str | int]


def of_payment(payment: Payment, numbers: Mapping[str, str], today: date) -> Notice | None:
    """A payment that its payer must confirm, or that was not confirmed in its time."""
    values = _money(payment.total) | {"payment_id": payment.id, "number": number_of(payment.id)}
    named = [numbers[part.invoice_id] for part in payment.asked if part.invoice_id in numbers]
    values |= {"invoices": len(payment.asked), **({"invoice_number": named[0]} if named else {})}
    if payment.status == "requires_action":
        if payment.act_by is None or payment.next_action_url is None or payment.given_up:
            return None
        values |= {"act_by": payment.act_by.isoformat(), "next_action_url": payment.next_action_url}
        text = f"Your bank waits for you to confirm a payment of {payment.total}. Confirm it, or cancel the payment."
        return Notice("payment_needs_confirmation", text, values)
    if payment.waits_until is None or payment.waits_until >= today:
        return None
    values |= {"expected_by": payment.waits_until.isoformat()}
    text = f"A payment of {payment.total} was not confirmed by {payment.waits_until}. We look into it: don't pay again."
    return Notice("payment_not_confirmed", text, values)


def of_reversal(reversal: Reversal) -> Notice:
    """Money that the payer's bank took back, or holds until a chargeback is decided."""
    values = _money(reversal.total) | {"payment_id": reversal.payment_id, "number": number_of(reversal.payment_id)}
    values |= {"kind": reversal.kind, "at": reversal.created_at.isoformat()}
    values |= {"reason": reversal.code} if reversal.code else {}
    if reversal.state == "open":
        text = f"Your bank disputes {reversal.total} of a payment. It is held until that is decided."
        return Notice("payment_disputed", text, values)
    text = f"Your bank took back {reversal.total} of a payment: its invoices are owed again."
    return Notice("payment_returned", text, values)


def of_autopay(autopay: Autopay | None, because: str | None) -> Notice | None:
    """`because`: why it is held, and what to do, in words."""
    if autopay is None or autopay.held_reason is None or autopay.held_at is None:
        return None
    values = {"reason": autopay.held_reason, "held_at": autopay.held_at.isoformat()}
    return Notice("autopay_held", f"Autopay is held. {because}", values)


def of_method(method: Method, today: date) -> Notice | None:
    """A saved method that has expired or is about to, or that waits for its two small deposits."""
    known = {"method_id": method.id, "kind": method.kind, "brand": method.brand, "last4": method.last4}
    values: dict[str, str | int] = {name: value for name, value in known.items() if value is not None}
    if method.disabled_at is not None:
        return None
    if method.verification == "pending":
        return Notice("method_unverified", "A bank account waits for its two small deposits. Enter them.", values)
    warning, last = method.warning(today), method.expires_on
    if warning is None or last is None:
        return None
    values |= {"expires": f"{last:%Y-%m}"}
    if warning == "expired":
        return Notice("method_expired", f"A card expired on {last}. Add the card that replaced it.", values)
    return Notice("method_expires_soon", f"A card expires on {last}. Add the card that replaces it.", values)


def notices(
    payments: Sequence[Payment],
    numbers: Mapping[str, str],
    reversals: Sequence[Reversal],
    held: Notice | None,
    methods: Sequence[Method],
    today: date,
) -> list[Notice]:
    """All notices of a customer, in the order of their urgency."""
    of_payments = [of_payment(one, numbers, today) for one in payments]
    found = [*of_payments, *map(of_reversal, reversals), held, *(of_method(one, today) for one in methods)]
    return [one for one in found if one is not None]


def _money(money: Money) -> dict[str, str | int]:
    return {"amount_minor": money.minor, "currency": money.currency}
