"""What the timeline of a payment says, when credit paid it, and of money that goes back."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import orjson
import pytest

from contracts.allocation import Part
from contracts.money import Money
from contracts.payments import ReversalKind
from payments.collecting.domain import timeline
from payments.collecting.domain.payments import (
    NEVER_MADE,
    Payment,
    Reversal,
    Step,
    StepName,
    cancel,
    expire,
    receive,
    settle_by_credit,
    step_of,
)
from payments.collecting.domain.reversals import FAILED_LATER
from payments.collecting.domain.timeline import Said, say
from payments.collecting.messages import payment_events
from payments.ledger import Posting
from payments.providers.data_files import CODES

NOW, DAY = datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 1)
PAY = "018f0000-0000-7000-8000-000000000001"


def told(*asked: Any) -> str:
    return timeline.told(*asked).text


def next_step(*asked: Any) -> str | None:
    said = timeline.next_step(*asked)
    return said.text if said else None


def usd(minor: int) -> Money:
    return Money(minor, "USD")


def by_credit() -> Step:
    submitted = Payment(
        PAY, "customer", "collect", "submitted", "waiting", usd(0), usd(0), (), NOW, method_kind="card",
        credit_used=4_000, expected_by=DAY,
    )  # fmt: skip
    return settle_by_credit(submitted, DAY)


def line(step: Step, *reversals: Reversal) -> str:
    """What the timeline says of a step, from its event."""
    (message,) = payment_events([step], NOW)
    return told(CODES, message.type, orjson.loads(message.body), DAY, reversals)


class TestPaidByCredit:
    def test_names_no_provider_and_has_no_return_window(self) -> None:
        step = by_credit()
        assert line(step) == "Credit paid it; nothing was charged."
        assert step.payment.return_window_until is None

    @pytest.mark.parametrize(("paid", "gone"), [((), "USD 40.00"), ((Part("one", usd(1_000)),), "USD 30.00")])
    def test_missing_credit_is_not_shown_as_paid(self, paid: tuple[Part, ...], gone: str) -> None:
        step = by_credit()
        (message,) = payment_events([step], NOW)
        short = replace(step.payment, credit_paid=paid).credit_short
        line = told(CODES, message.type, orjson.loads(message.body), DAY, (), short)
        assert line == f"Nothing was charged; of the credit that was to pay it, {gone} was gone."

    def test_money_beside_credit_needs_the_providers_record(self) -> None:
        step = by_credit()
        charged = replace(step, payment=replace(step.payment, amount=usd(1_000)))
        assert line(charged) == "The provider's record agrees: the money is there."
        assert charged.payment.return_window_until is not None
        assert line(receive("customer", usd(500), DAY, None, (), NOW)) == "The money was received."


class TestReversals:
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
    def test_amount_includes_the_surcharge(self, what: StepName, kind: ReversalKind, says: str) -> None:
        other = Reversal("other", PAY, "customer", kind, "failed", usd(1), usd(0), NOW)
        back = Reversal("back", PAY, "customer", kind, "succeeded", usd(1_200), usd(36), NOW)
        step = replace(by_credit(), what=what, reversal=back)
        assert line(step, other, back) == says

    def test_undelivered_refund_is_shown_as_credit(self) -> None:
        back = Reversal("back", PAY, "customer", "refund", "failed", usd(1_200), usd(36), NOW, code=FAILED_LATER)
        entries = (("psp_clearing", usd(1_236)), ("customer_funds", usd(-1_200)), ("surcharge_income", usd(-36)))
        posting = Posting("p", PAY, "customer", "refund_failed", DAY, entries, "back")
        says = (
            "USD 12.36 that was given back did not arrive: USD 12.00 is the customer's credit until it is given again."
        )
        assert line(replace(by_credit(), what="refund_failed", reversal=back, posting=posting), back) == says

    def test_without_an_amount_only_the_money_is_named(self) -> None:
        for kind, says in ((None, "The bank took the money back."), ("refund", "The money was given back.")):
            assert told(CODES, "PaymentReversed", {"reason": None, "kind": kind}, DAY) == says

    @pytest.mark.parametrize(
        ("what", "kind", "code", "says"),
        [
            ("reversed", "return", "R02", "The bank took USD 12.36 back: the account is closed."),
            ("reversed", "return", "bank_reversal", "The bank took USD 12.36 back."),
            ("disputed", "chargeback", "duplicate", "holds USD 12.36: the payer says that it was charged twice."),
            ("reversed", "chargeback", "duplicate", "USD 12.36 is gone: the payer says that it was charged twice."),
            ("reversed", "refund", "refund", "USD 12.36 was given back."),
            ("refund_failed", "refund", "lost_or_stolen_card", "give USD 12.36 back: the card was lost or stolen."),
            ("refund_failed", "refund", "taken_back_first", "USD 12.36 back: the payer's bank took the money first."),
            ("refund_failed", "refund", "of_no_meaning", "The provider could not give USD 12.36 back."),
        ],
    )
    def test_sentence_ends_with_the_meaning_of_the_code(
        self, what: StepName, kind: ReversalKind, code: str, says: str
    ) -> None:
        back = Reversal("back", PAY, "customer", kind, "succeeded", usd(1_200), usd(36), NOW, code=code)
        assert line(replace(by_credit(), what=what, reversal=back), back).endswith(says)

    def test_code_is_read_as_of_its_day(self) -> None:
        body = {"code": "R11", "kind": "return"}
        before, after = (told(CODES, "PaymentReversed", body, day) for day in (date(2021, 3, 31), date(2021, 4, 1)))
        assert before != after


def collected(**more: Any) -> Payment:
    return replace(
        Payment(PAY, "customer", "collect", "reserved", "waiting", usd(1_000), usd(30), (), NOW, method_kind="card"),
        **more,
    )


class TestNextStep:
    def test_pending_refund_is_named(self) -> None:
        paid = replace(by_credit().payment, amount=usd(1_200), status="succeeded", reconciliation="matched")
        back = Reversal("back", PAY, "customer", "refund", "requested", usd(1_200), usd(0), NOW)
        assert next_step(CODES, paid, DAY, (back,)) == "The provider gives USD 12.00 back; its record confirms it."
        assert next_step(CODES, paid, DAY, (replace(back, state="succeeded"),)) is None

    @pytest.mark.parametrize(
        ("paid", "gone", "says"),
        [
            (None, 0, None),
            (4_000, 0, None),
            (4_000, 4_000, "USD 40.00 of the credit for it went back: its invoices are owed again."),
            (4_000, 1_000, "USD 10.00 of the credit for it went back: its invoices are owed again."),
            (3_000, 0, "USD 10.00 of the credit for it was gone before it could pay."),
            (0, 0, "USD 40.00 of the credit for it was gone before it could pay."),
            (3_000, 500, "USD 15.00 of the credit for it went back: its invoices are owed again."),
        ],
    )
    def test_credit_that_does_not_pay_is_named(self, paid: int | None, gone: int, says: str | None) -> None:
        payment = replace(
            by_credit().payment, asked=(Part("one", usd(4_000)),),
            credit_paid=None if paid is None else (Part("one", usd(paid)),) if paid else (),
            credit_gone=(Part("one", usd(gone)),) if gone else (),
        )  # fmt: skip
        step = next_step(CODES, payment, DAY)
        assert step is None if says is None else step and step.startswith(says)
        left = (4_000 if paid is None else paid) - gone
        assert payment.credit_allocations == ((Part("one", usd(left)),) if left else ())

    @pytest.mark.parametrize(
        ("reason", "says", "to_do"),
        [
            ("insufficient_funds", "declined: there was not enough money.", "later, or by another method."),
            ("generic_decline", "declined: the bank said no without a reason.", "later, or by another method."),
            ("stolen_card", "declined: the card was reported stolen.", "this one can't be charged any more."),
            ("incorrect_cvc", "declined: the card's security code is wrong.", "by another method; the payer's bank"),
            ("authentication_required", "the bank wants the payer to confirm the payment.", "with a return_url"),
            (
                "payment_intent_authentication_failure",
                "did not confirm the payment at the bank.",
                "confirm it with the bank",
            ),
            (NEVER_MADE, "never reached the provider, so nothing was charged.", "Pay what is still owed again."),
            ("amount_too_small", "declined (amount too small).", "by another method"),
            ("declined", "the provider gave no reason.", "by another method"),
        ],
    )
    def test_declined_payment_says_why_and_the_remedy(self, reason: str, says: str, to_do: str) -> None:
        step = step_of(collected(), "declined", status="declined", reason=reason, reconciliation=None)
        assert line(step).endswith(says)
        assert to_do in (next_step(CODES, step.payment, DAY) or "")

    @pytest.mark.parametrize(
        ("step", "says", "to_do"),
        [
            (
                cancel(collected(), "invoice_changed", "q-2"),
                "An invoice changed",
                "Confirm the new quote q-2 (new_quote_id)",
            ),
            (cancel(collected(), "invoice_changed"), "An invoice changed", "Pay what is still owed again."),
            (
                cancel(collected(), "surcharge_declined"),
                "The surcharge was declined",
                "Nothing was charged. Make a new quote",
            ),
            (
                cancel(collected(), "cancelled_by_provider"),
                "The payment was cancelled",
                "Pay what is still owed again.",
            ),
            (
                cancel(collected(), "payer_cancelled"),
                "It was cancelled before the payer confirmed it",
                "Pay what is still owed",
            ),
            (expire(collected()), "The payer did not confirm in time", "confirm it with the bank within a day."),
        ],
    )
    def test_cancelled_or_expired_payment_says_how_to_pay(self, step: Step, says: str, to_do: str) -> None:
        assert line(step).startswith(says)
        assert to_do in (next_step(CODES, step.payment, DAY) or "")

    def test_given_up_payment_waits_for_the_provider(self) -> None:
        asked = collected(status="requires_action", reconciliation="waiting")
        assert "next_action_url" in (next_step(CODES, asked, DAY) or "")
        given_up = next_step(CODES, replace(asked, let_go_by="user:u"), DAY) or ""
        assert given_up.startswith("The provider is asked to cancel the charge")

    def test_exception_after_decline_is_looked_into(self) -> None:
        looked_into = next_step(CODES, collected(status="declined", reconciliation="exception"), DAY)
        assert (looked_into or "").startswith("Somebody of the company looks into it")
        ended = replace(cancel(collected(), "taken_in_another_currency").payment, reconciliation="exception")
        assert next_step(CODES, ended, DAY) == "Pay what is still owed again."

    def test_fully_reversed_payment_leaves_its_invoices_owed(self) -> None:
        paid = collected(status="succeeded", reconciliation="matched", reversed=1_030)
        assert "its invoices are owed again" in (next_step(CODES, paid, DAY) or "")
        assert next_step(CODES, replace(paid, reversed=1_029), DAY) is None
        assert next_step(CODES, by_credit().payment, DAY) is None


class TestCodes:
    """Beside each sentence stand its code and its values, so that another language can say it."""

    @pytest.mark.parametrize("event", [*timeline.WORDS, "PaymentDeclined", "PaymentCancelled"])
    def test_every_event_has_one(self, event: str) -> None:
        said = timeline.told(CODES, event, {"total": {"amount_minor": 1}}, DAY)
        assert said.code
        assert said.code == said.code.lower()
        assert said.text

    def test_reversal_has_its_amount(self) -> None:
        back = Reversal("back", PAY, "customer", "return", "succeeded", usd(1_200), usd(36), NOW, "R01")
        (message,) = payment_events([replace(by_credit(), what="reversed", reversal=back)], NOW)
        said = timeline.told(CODES, message.type, orjson.loads(message.body), DAY, (back,))
        assert (said.code, said.values) == ("gone_by_return", {"money": usd(1_236), "reason": "R01"})

    def test_a_decline_has_its_reason(self) -> None:
        said = timeline.told(CODES, "PaymentDeclined", {"reason": "stolen_card"}, DAY)
        assert (said.code, said.values) == ("declined", {"reason": "stolen_card"})
        odd = timeline.told(CODES, "PaymentDeclined", {"reason": "{odd}"}, DAY)
        assert odd == Said("declined", "The payment was declined ({odd}).", {"reason": "{odd}"})

    def test_awaited_record_has_its_day(self) -> None:
        waiting = replace(by_credit().payment, status="processing", reconciliation="waiting", expected_by=DAY)
        said = timeline.next_step(CODES, waiting, DAY)
        assert said == Said("provider_confirms", "The provider confirms by 2026-03-01.", {"by": DAY})

    def test_missing_values_are_left_out(self) -> None:
        assert say("a", "Words of {one}.", one="this", other=None) == Said("a", "Words of this.", {"one": "this"})
