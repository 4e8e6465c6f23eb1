"""What the timeline of a payment says, and what it is to its payer, when credit paid it."""

from dataclasses import replace
from datetime import UTC, date, datetime

import orjson

from contracts.money import Money
from payments import messages
from payments.domain import Payment, Step, receive, settle_by_credit
from payments.domain.timeline import told

NOW, DAY = datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 1)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def by_credit() -> Step:
    submitted = Payment(
        "pay", "customer", "collect", "submitted", "waiting", usd(0), usd(0), (), NOW, method_kind="card",
        credit_used=4_000, expected_by=DAY,
    )  # fmt: skip
    return settle_by_credit(submitted, DAY)


def line(step: Step) -> str:
    """What the timeline says of a step, from its event."""
    (message,) = messages.of([step], NOW)
    return told(message.type, orjson.loads(message.body))


def test_a_payment_by_credit_alone_speaks_of_no_provider_and_no_bank_can_take_it_back() -> None:
    step = by_credit()
    assert line(step) == "Credit paid it; nothing was charged."
    assert step.payment.return_window_until is None


def test_money_beside_credit_is_there_by_the_providers_record() -> None:
    step = by_credit()
    charged = replace(step, payment=replace(step.payment, amount=usd(1_000)))
    assert line(charged) == "The provider's record agrees: the money is there."
    assert charged.payment.return_window_until is not None
    assert line(receive("customer", usd(500), DAY, None, (), NOW)) == "The money was received."
