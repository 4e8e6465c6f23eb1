"""Makes the events about autopay."""

from __future__ import annotations

from datetime import datetime

from contracts import payments as says
from contracts.envelope import Amount, Message, message
from contracts.money import Money
from payments.autopay.domain import Autopay, AutopayCharge


def autopay_changed(autopay: Autopay, now: datetime) -> Message:
    event = says.AutopayChanged(
        customer_id=autopay.customer_id, enabled=autopay.enabled, method_id=autopay.method_id, day=autopay.day,
        surcharge_consent=autopay.surcharge_consent, held_reason=autopay.held_reason,
        methods=tuple(says.CurrencyMethod(currency=one, method_id=by) for one, by in autopay.by_currency) or None,
    )  # fmt: skip
    return message(event, sequence=autopay.sequence, time=now, customer=autopay.customer_id)


def autopay_scheduled(
    charge: AutopayCharge, autopay: Autopay, amount: Money, surcharge: Money, now: datetime
) -> Message:
    """The notice of a charge: `amount` is payable now, `surcharge` is by today's rules."""
    event = says.AutopayScheduled(
        customer_id=charge.customer_id, invoice_id=charge.invoice_id,
        method_id=autopay.method_for(amount.currency) or "",
        attempt=charge.attempt, charge_on=charge.charge_on, amount=Amount.of(amount),
        surcharge=Amount.of(surcharge), total=Amount.of(amount + surcharge),
    )  # fmt: skip
    return message(event, sequence=autopay.sequence, time=now, customer=charge.customer_id)
