"""Money and its sharing."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.allocation import Due, Part, allocate, allocate_as_asked
from contracts.calendar import add_banking_days, business_date
from contracts.ids import is_id, new_id
from contracts.money import EXPONENTS, CurrencyMismatchError, Money, half_up, split

minor = st.integers(0, 10**12)


def due(number: str, payable: int, due_on: date = date(2026, 1, 1), issued_on: date = date(2025, 12, 1)) -> Due:
    return Due(f"id-{number}", number, issued_on, due_on, Money(payable, "USD"))


dues = st.lists(
    st.builds(
        due,
        st.uuids().map(str),
        minor,
        st.dates(date(2026, 1, 1), date(2026, 3, 1)),
    ),
    max_size=12,
)


class TestAllocation:
    @given(minor, dues)
    def test_parts_and_credit_equal_the_received_money(self, received: int, open_invoices: list[Due]) -> None:
        shared = allocate(Money(received, "USD"), open_invoices)
        assert sum(part.amount.minor for part in shared.parts) + shared.credit.minor == received
        payable = {one.invoice_id: one.payable.minor for one in open_invoices}
        assert all(0 < part.amount.minor <= payable[part.invoice_id] for part in shared.parts)
        assert not shared.credit or all(
            sum(part.amount.minor for part in shared.parts if part.invoice_id == one.invoice_id) == one.payable.minor
            for one in open_invoices
        )

    def test_oldest_invoice_is_paid_first(self) -> None:
        later = due("A", 100, due_on=date(2026, 2, 1))
        issued_later = due("B", 100, issued_on=date(2025, 12, 2))
        by_number = due("D", 100)
        first = due("C", 100)
        shared = allocate(Money(350, "USD"), [later, issued_later, by_number, first])
        assert [(part.invoice_id, part.amount.minor) for part in shared.parts] == [
            ("id-C", 100),
            ("id-D", 100),
            ("id-B", 100),
            ("id-A", 50),
        ]

    def test_rest_becomes_credit(self) -> None:
        assert allocate(Money(120, "USD"), [due("A", 100)]).credit == Money(20, "USD")

    def test_excess_and_closed_invoices_become_credit_on_request(self) -> None:
        asked = [Part("id-A", Money(150, "USD")), Part("id-closed", Money(50, "USD"))]
        shared = allocate_as_asked(Money(200, "USD"), asked, [due("A", 100)])
        assert shared.parts == (Part("id-A", Money(100, "USD")),)
        assert shared.credit == Money(100, "USD")


class TestRounding:
    @given(minor, st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
    def test_split_is_exact_within_one_unit(self, amount: int, weights: list[int]) -> None:
        parts = split(amount, weights)
        assert sum(parts) == amount
        assert all(abs(part - amount * weight / sum(weights)) <= 1 for part, weight in zip(parts, weights, strict=True))

    def test_half_rounds_up_and_surcharge_rounds_down(self) -> None:
        assert half_up(Decimal("2.5")) == 3
        assert half_up(Decimal("-2.5")) == -3
        assert Money(199, "USD").share(Decimal("0.03")) == Money(5, "USD")


class TestCurrencies:
    def test_currencies_are_never_added_up(self) -> None:
        with pytest.raises(CurrencyMismatchError):
            Money(1, "USD") + Money(1, "EUR")

    @pytest.mark.parametrize(
        ("money", "text"),
        [
            (Money(1_234, "USD"), "USD 12.34"), (Money(-5, "EUR"), "EUR -0.05"), (Money(0, "USD"), "USD 0.00"),
            (Money(500, "JPY"), "JPY 500"), (Money(10**15 - 1, "KWD"), "KWD 999999999999.999"),
        ],
    )  # fmt: skip
    def test_shown_with_the_digits_of_the_currency(self, money: Money, text: str) -> None:
        assert str(money) == text

    def test_exponents_follow_iso_4217(self) -> None:
        assert (EXPONENTS["JPY"], EXPONENTS["USD"], EXPONENTS["KWD"]) == (0, 2, 3)


class TestDates:
    def test_business_date_is_in_the_companys_zone(self) -> None:
        from datetime import UTC, datetime

        assert business_date(datetime(2026, 7, 1, 3, 59, tzinfo=UTC), "America/New_York") == date(2026, 6, 30)
        assert business_date(datetime(2026, 12, 1, 4, 59, tzinfo=UTC), "America/New_York") == date(2026, 11, 30)

    def test_banking_days_skip_weekends_and_holidays(self) -> None:
        friday = date(2026, 11, 20)
        assert add_banking_days(friday, 1) == date(2026, 11, 23)
        assert add_banking_days(friday, 1, frozenset({date(2026, 11, 23)})) == date(2026, 11, 24)


def test_ids_are_canonical_uuids_in_order_of_time() -> None:
    first, second = new_id(), new_id()
    assert is_id(first)
    assert first[:8] <= second[:8]
    assert not is_id("nonsense")
