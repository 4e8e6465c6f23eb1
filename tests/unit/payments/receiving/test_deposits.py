"""Receipts that a bank sums up in one line."""

import time
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.money import Money
from payments.receiving.domain.deposits import LARGEST, Deposits
from payments.receiving.domain.verdicts import Recorded

DAY = date(2026, 3, 2)


def receipt(name: str, minor: int, day: int = 0, customer: str = "c1", reference: str | None = None) -> Recorded:
    return Recorded(name, customer, Money(minor, "USD"), DAY + timedelta(day), reference)


def whole(minor: int, *receipts: Recorded) -> list[list[str]]:
    return [[one.payment_id for one in each] for each in Deposits(receipts).whole(minor)]


def some(minor: int, *receipts: Recorded) -> list[list[str]]:
    return sorted(sorted(one.payment_id for one in each) for each in Deposits(receipts).some(minor))


A, B, C = receipt("a", 1, 0, "c1"), receipt("b", 2, 0, "c2"), receipt("c", 4, 1, "c3", "SLIP 7")


class TestDeposits:
    def test_all_of_a_day_belong_together(self) -> None:
        receipts = [A, B, receipt("c", 4, 2, "c3"), receipt("d", 5, 2, "c4")]
        assert whole(3, *receipts) == [["a", "b"]]
        assert whole(9, *receipts) == [["c", "d"]]
        assert some(7, *receipts) == [["a", "b", "c"], ["b", "d"]]

    def test_receipts_of_a_customer_or_reference_belong_together(self) -> None:
        receipts = [A, receipt("b", 2, 5, "c1"), C, receipt("d", 8, 9, "c4", "SLIP 7")]
        assert ["a", "b"] in whole(3, *receipts)
        assert ["c", "d"] in whole(12, *receipts)

    def test_consecutive_days_may_be_one_deposit(self) -> None:
        receipts = [receipt(str(day), 10**day, day, f"c{day}") for day in range(4)]
        assert whole(110, *receipts) == [["1", "2"]]
        assert whole(1_111, *receipts) == [["0", "1", "2", "3"]]

    def test_one_receipt_is_no_sum(self) -> None:
        assert whole(1, A) == some(1, A) == []

    def test_two_or_three_are_found_among_many(self) -> None:
        receipts = [receipt(f"{number:03}", 7 * 2**number, 0, f"c{number}") for number in range(40)]
        assert some(7 * (2**3 + 2**30), *receipts) == [["003", "030"]]
        assert some(7 * (2**3 + 2**30 + 2**32), *receipts) == [["003", "030", "032"]]

    def test_many_receipts_are_looked_through_at_once(self) -> None:
        receipts = [receipt(str(number), number + 1, number % 12, f"c{number % 40}") for number in range(400)]
        began = time.process_time()
        deposits = Deposits(receipts)
        for minor in range(100):
            deposits.some(minor)
        assert time.process_time() - began < 3

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 6), st.sampled_from("xyz")), max_size=14))
    def test_what_is_found_sums_to_the_amount(self, told: list[tuple[int, int, str]]) -> None:
        receipts = [receipt(str(at), minor, day, customer) for at, (minor, day, customer) in enumerate(told)]
        deposits = Deposits(receipts)
        for minor in range(1, 120):
            sets = deposits.whole(minor) + deposits.some(minor)
            assert all(sum(one.amount.minor for one in each) == minor for each in sets)
            assert all(1 < len({one.payment_id for one in each}) == len(each) <= LARGEST for each in sets)
