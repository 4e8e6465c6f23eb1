"""What may be disputed of an invoice, and what may become of a dispute."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money
from contracts.refusals import Refusal
from contracts.support import DisputeStatus
from support.disputes.domain import (
    DECIDED,
    Decision,
    Dispute,
    DisputedInvoice,
    Line,
    amount_of,
    in_full,
    left_to_credit,
    refusal_of,
)

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
INVOICE = DisputedInvoice("i", "INV-1", "open", Money(10_000, "USD"), (6_000, 5_000, -1_000))
WHATS: tuple[Decision, ...] = ("under_review", "accepted", "rejected", "withdrawn")


def dispute(*lines: Line, status: DisputeStatus = "open", amount: int | None = None) -> Dispute:
    decided_at = NOW if status in DECIDED else None
    return Dispute("d", "t", "c", "i", status, None, lines, amount, "USD", NOW, decided_at)


def accepted(*lines: Line) -> Dispute:
    return dispute(*lines, status="accepted", amount=sum(one.amount or 0 for one in lines) or 10_000)


def why(*lines: Line, invoice: DisputedInvoice = INVOICE, others: Sequence[Dispute] = ()) -> str | None:
    refusal = refusal_of(invoice, lines, None, ["wrong_price"], others)
    return refusal.code if refusal else None


class TestRaising:
    def test_whole_invoice_or_lines(self) -> None:
        assert why() is None
        assert why(Line(1), Line(2, 500)) is None

    @pytest.mark.parametrize("status", ["void", "uncollectible", "draft"])
    def test_nothing_owed_is_not_disputable(self, status: str) -> None:
        assert why(invoice=DisputedInvoice("i", "INV-1", status, Money(1, "USD"))) == "not-disputable"

    def test_line_is_named_once(self) -> None:
        assert why(Line(1), Line(1, 5)) == "line-twice"

    def test_lines_sum_to_the_total_at_most(self) -> None:
        assert why(Line(1, 6_000), Line(2, 4_000)) is None
        assert why(Line(1, 6_000), Line(2, 4_001)) == "more-than-invoiced"

    def test_line_is_one_of_the_invoice(self) -> None:
        assert why(Line(4)) == "unknown-line"
        assert why(Line(3)) == "line-not-disputable"
        assert why(Line(1, 6_001)) == "more-than-line"
        older = DisputedInvoice("i", "INV-1", "open", Money(10_000, "USD"))
        assert why(Line(1), invoice=older) == "lines-unknown"
        assert why(invoice=older) is None

    def test_what_is_credited_is_not_disputed_again(self) -> None:
        before = [accepted(Line(1, 5_500))]
        assert why(Line(1, 500), others=before) is None
        assert why(Line(1, 501), others=before) == "more-than-line"
        assert why(Line(1), others=[accepted(Line(1, 6_000))]) == "line-not-disputable"
        assert why(Line(2), others=before) == "more-than-invoiced"
        assert why(others=[accepted()]) == "credited-already"

    @pytest.mark.parametrize("status", ["open", "under_review", "accepted"])
    def test_all_disputes_come_to_the_total(self, status: DisputeStatus) -> None:
        """A discount makes the total less than the lines: another dispute may leave less than the line comes to."""
        before = [dispute(Line(1, 6_000), status=status, amount=6_000)]
        assert why(Line(2, 4_000), others=before) is None
        assert why(Line(2, 4_001), others=before) == "more-than-invoiced"
        assert why(Line(2), others=before) == "more-than-invoiced"
        refusal = refusal_of(INVOICE, [Line(2)], None, (), before)
        assert refusal is not None
        assert refusal.values == {"left": 4_000}
        assert "another dispute" in refusal.detail

    def test_none_is_left_beside_an_undecided_one(self) -> None:
        discounted = DisputedInvoice("i", "INV-1", "open", Money(5_000, "USD"), (10_000, 10_000, -15_000))
        before = [dispute(Line(1, 5_000), amount=5_000)]
        refusal = refusal_of(discounted, [Line(2, 1)], None, (), before)
        assert refusal is not None
        assert (refusal.code, refusal.values) == ("more-than-invoiced", {"left": 0})
        assert left_to_credit(discounted, before) == 5_000

    @given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.integers(0, 9), st.data())
    def test_taken_ones_can_all_be_credited(self, totals: list[int], discount: int, data: st.DataObject) -> None:
        total = Money(max(1, sum(totals) - discount), "USD")
        invoice = DisputedInvoice("i", "INV-1", "open", total, (*totals, total.minor - sum(totals)))
        taken: list[Dispute] = []
        for place, whole in enumerate(totals, 1):
            lines = [Line(place, data.draw(st.one_of(st.none(), st.integers(1, whole))))]
            if refusal_of(invoice, lines, None, (), taken) is None:
                full = in_full(invoice, lines, taken)
                status = data.draw(st.sampled_from(["open", "accepted"]))
                taken.append(dispute(*full, status=status, amount=amount_of(invoice, full, taken)))
        assert sum(one.amount or 0 for one in taken) <= total.minor

    def test_category_is_one_of_the_company(self) -> None:
        refusal = refusal_of(INVOICE, (), "other", ["wrong_price"], ())
        assert refusal is not None
        assert (refusal.code, refusal.field) == ("unknown-category", "category")

    def test_same_line_is_disputed_once(self) -> None:
        assert why(Line(1), others=[dispute(Line(1, 5))]) == "disputed-already"
        assert why(Line(2), others=[dispute(Line(1))]) is None
        assert why(others=[dispute(Line(1))]) == "disputed-already"
        assert why(Line(1), others=[dispute()]) == "disputed-already"


class TestAmount:
    @given(st.lists(st.integers(1, 10**12), min_size=1, max_size=20), st.data())
    def test_is_the_sum_of_lines_in_full(self, totals: list[int], data: st.DataObject) -> None:
        invoice = DisputedInvoice("i", "INV-1", "open", Money(sum(totals), "USD"), tuple(totals))
        asked = [data.draw(st.one_of(st.none(), st.integers(1, total))) for total in totals]
        full = in_full(invoice, [Line(place, amount) for place, amount in enumerate(asked, 1)], ())
        each = [total if amount is None else amount for total, amount in zip(totals, asked, strict=True)]
        assert [one.amount for one in full] == each
        assert amount_of(invoice, full, ()) == sum(each)

    def test_whole_invoice_is_what_is_not_credited(self) -> None:
        assert amount_of(INVOICE, (), ()) == 10_000
        assert amount_of(INVOICE, (), [accepted(Line(1, 5_500))]) == 4_500
        assert in_full(INVOICE, [Line(1)], [accepted(Line(1, 5_500))]) == (Line(1, 500),)


class TestDecisions:
    def test_rejection_needs_a_reason_once(self) -> None:
        found = dispute().decide("rejected", NOW, "")
        assert isinstance(found, Refusal)
        assert (found.code, found.field, found.status) == ("reason-missing", "text", 422)
        before = dispute(status="rejected")
        assert before.decide("rejected", NOW, "") is before

    @pytest.mark.parametrize("what", WHATS)
    def test_are_made_from_open(self, what: Decision) -> None:
        decided = dispute().decide(what, NOW, "Why.")
        assert isinstance(decided, Dispute)
        assert (decided.status, decided.decided_at is not None, decided.sequence) == (what, what in DECIDED, 2)

    @given(st.lists(st.sampled_from(WHATS), max_size=12))
    def test_first_final_one_stays(self, wished: list[Decision]) -> None:
        one, final = dispute(), next((what for what in wished if what in DECIDED), None)
        for what in wished:
            found = one.decide(what, NOW, "Why.")
            if isinstance(found, Refusal):
                assert one.decided
                assert what != one.status
                assert found.code == "dispute-decided"
            else:
                one = found
        assert one.status == (final or ("under_review" if wished else "open"))
        assert one.sequence <= 3
