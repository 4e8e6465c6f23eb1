"""Credit that pays all needs no method, and what it does not pay needs one."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from contracts.money import Money
from contracts.refusals import Refusal
from payments.collecting.api.views import view_of_payment
from payments.collecting.domain.payments import Step, expected_by, overdue, settle_by_credit, submit
from payments.collecting.domain.quotes import Choice, Everything, Quote, Sum, Wish, Wishes, choose_again, make_quote
from payments.collecting.domain.surcharges import NO_SURCHARGE
from payments.projections.domain import OpenInvoice

NOW, DAY = datetime(2026, 3, 6, 12, tzinfo=UTC), date(2026, 3, 6)
INVOICES = {
    name: OpenInvoice(name, "c", name, "open", "USD", DAY, DAY, payable) for name, payable in (("a", 300), ("b", 200))
}
NAMED = Wishes((Wish("a", None), Wish("b", 100)))


def made(choice: Choice, credit: int) -> Quote | Refusal:
    return make_quote(None, choice, INVOICES, NO_SURCHARGE, NOW, credit=credit, customer_id="c")


class TestPaymentByCredit:
    def test_is_settled_without_method_once_reserved(self) -> None:
        quote = made(NAMED, 500)
        assert isinstance(quote, Quote)
        step = submit(quote, None, None, expected_by=expected_by(None, DAY), now=NOW)
        assert isinstance(step, Step)
        assert step.payment.expected_by == date(2026, 3, 9)  # a banking day later: only its reservation is waited for
        paid = settle_by_credit(step.payment, DAY).payment
        view = view_of_payment(paid)
        assert (view["status"], view["reconciliation"], view["method_id"]) == ("succeeded", "matched", None)
        assert (view["total_minor"], view["return_window_until"]) == (0, None)
        parts = [
            {"invoice_id": "a", "number": None, "amount_minor": 300},
            {"invoice_id": "b", "number": None, "amount_minor": 100},
        ]
        assert (view["allocations"], view["credit_allocations"]) == ([], parts)

    def test_late_settlement_closes_its_exception(self) -> None:
        quote = made(NAMED, 500)
        assert isinstance(quote, Quote)
        step = submit(quote, None, None, expected_by=DAY, now=NOW)
        assert isinstance(step, Step)
        late = overdue(step.payment)
        assert (late.opens, settle_by_credit(late.payment, DAY).closes) == ("missing_there", True)
        assert not settle_by_credit(step.payment, DAY).closes


class TestQuoteWithoutMethod:
    @pytest.mark.parametrize(("choice", "used"), [(NAMED, 400), (Everything("USD"), 500)])
    def test_covering_credit_needs_no_method(self, choice: Choice, used: int) -> None:
        quote = made(choice, 500)
        assert isinstance(quote, Quote)
        assert (quote.customer_id, quote.method_id, quote.credit_used) == ("c", None, used)
        assert not quote.total
        assert quote.cash_parts == ()

    @pytest.mark.parametrize(
        ("choice", "credit", "left"),
        [(NAMED, 399, 1), (NAMED, 0, 400), (Everything("USD"), 120, 380), (Sum(Money(70, "USD")), 500, 70)],
    )
    def test_rest_beyond_credit_is_refused_with_its_amount(self, choice: Choice, credit: int, left: int) -> None:
        refused = made(choice, credit)
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.field, refused.conflict) == ("method-needed", "method_id", False)
        left_over = f"{left} minor units of USD are left to be paid by a method"
        on_top = "An amount is what a method pays, on top of the credit"
        assert (on_top if isinstance(choice, Sum) else left_over) in refused.detail

    def test_another_customers_invoice_is_unknown(self) -> None:
        refused = make_quote(None, NAMED, INVOICES, NO_SURCHARGE, NOW, credit=500, customer_id="other")
        assert isinstance(refused, Refusal)
        assert refused.code == "unknown-invoice"

    def test_same_choice_needs_method_after_credit_is_used(self) -> None:
        quote = made(NAMED, 500)
        assert isinstance(quote, Quote)
        choice = choose_again(quote, {**INVOICES, "b": replace(INVOICES["b"], payable_now=0)})
        assert choice is not None
        again = made(choice, 250)
        assert isinstance(again, Refusal)
        assert again.detail.startswith("Credit pays 250 minor units of it; 50 minor units of USD are left")
