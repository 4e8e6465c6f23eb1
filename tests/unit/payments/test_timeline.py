"""What the timeline of a payment says, when credit paid it, and of money that goes back."""

from dataclasses import replace
from datetime import UTC, date, datetime

import orjson
import pytest

from contracts.money import Money
from contracts.payments import ReversalKind
from payments import messages
from payments.domain import Payment, Posting, Reversal, Step, What, receive, settle_by_credit
from payments.domain.reversals import FAILED_LATER
from payments.domain.timeline import next_step, told

NOW, DAY = datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 1)


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def by_credit() -> Step:
    submitted = Payment(
        "pay", "customer", "collect", "submitted", "waiting", usd(0), usd(0), (), NOW, method_kind="card",
        credit_used=4_000, expected_by=DAY,
    )  # fmt: skip
    return settle_by_credit(submitted, DAY)


def line(step: Step, *reversals: Reversal) -> str:
    """What the timeline says of a step, from its event."""
    (message,) = messages.of([step], NOW)
    return told(message.type, orjson.loads(message.body), reversals)


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


@pytest.mark.parametrize(
    ("what", "kind", "says"),
    [
        ("refund_requested", "refund", "A refund of USD 12.36 was asked of the provider."),
        ("refund_failed", "refund", "The provider could not give USD 12.36 back."),
        ("reversed", "refund", "USD 12.36 was given back."),
        ("reversed", "return", "The bank took USD 12.36 back."),
        ("disputed", "chargeback", "The payer's bank opened a chargeback and holds USD 12.36."),
        ("dispute_won", "chargeback", "The chargeback of USD 12.36 was decided for the company."),
        ("reversed", "chargeback", "The chargeback was lost, and USD 12.36 is gone."),
    ],
)
def test_what_goes_back_is_told_with_its_surcharge(what: What, kind: ReversalKind, says: str) -> None:
    other = Reversal("other", "pay", "customer", kind, "failed", usd(1), usd(0), NOW)
    back = Reversal("back", "pay", "customer", kind, "succeeded", usd(1_200), usd(36), NOW)
    step = replace(by_credit(), what=what, reversal=back)
    assert line(step, other, back) == says


def test_a_refund_that_did_not_arrive_is_told_as_the_customers_credit() -> None:
    back = Reversal("back", "pay", "customer", "refund", "failed", usd(1_200), usd(36), NOW, code=FAILED_LATER)
    entries = (("psp_clearing", usd(1_236)), ("customer_funds", usd(-1_200)), ("surcharge_income", usd(-36)))
    posting = Posting("p", "pay", "customer", "refund_failed", DAY, entries, "back")
    says = "USD 12.36 that was given back did not arrive: USD 12.00 is the customer's credit until it is given again."
    assert line(replace(by_credit(), what="refund_failed", reversal=back, posting=posting), back) == says


def test_a_refund_on_its_way_is_the_next_step() -> None:
    paid = replace(by_credit().payment, amount=usd(1_200), status="succeeded", reconciliation="matched")
    back = Reversal("back", "pay", "customer", "refund", "requested", usd(1_200), usd(0), NOW)
    assert next_step(paid, DAY, (back,)) == "The provider gives USD 12.00 back; its record confirms it."
    assert next_step(paid, DAY, (replace(back, state="succeeded"),)) is None


def test_what_goes_back_without_a_trace_of_how_much_is_told_as_money() -> None:
    assert told("PaymentReversed", {"reason": None, "kind": None}) == "The bank took the money back."
    assert told("PaymentReversed", {"reason": None, "kind": "refund"}) == "The money was given back."
