"""What may be disputed of an invoice, and what may become of a dispute."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.money import Money
from contracts.refusals import Refusal
from support.disputes.domain import DECIDED, Decision, Dispute, DisputedInvoice, Line, amount_of, refusal_of

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
INVOICE = DisputedInvoice("i", "INV-1", "open", Money(10_000, "USD"))
WHATS: tuple[Decision, ...] = ("under_review", "accepted", "rejected", "withdrawn")


def dispute(*lines: Line) -> Dispute:
    return Dispute("d", "t", "c", "i", "open", None, lines, None, "USD", NOW)


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
    @given(st.lists(st.one_of(st.none(), st.integers(1, 10**12)), min_size=1, max_size=20))
    def test_is_the_sum_where_each_is_known(self, amounts: list[int | None]) -> None:
        lines = [Line(place, amount) for place, amount in enumerate(amounts, 1)]
        known = [amount for amount in amounts if amount is not None]
        assert amount_of(INVOICE, lines) == (sum(known) if len(known) == len(amounts) else None)

    def test_whole_invoice_is_its_total(self) -> None:
        assert amount_of(INVOICE, ()) == 10_000


class TestDecisions:
    @pytest.mark.parametrize("what", WHATS)
    def test_are_made_from_open(self, what: Decision) -> None:
        decided = dispute().decide(what, NOW)
        assert isinstance(decided, Dispute)
        assert (decided.status, decided.decided_at is not None, decided.sequence) == (what, what in DECIDED, 2)

    @given(st.lists(st.sampled_from(WHATS), max_size=12))
    def test_first_final_one_stays(self, wished: list[Decision]) -> None:
        one, final = dispute(), next((what for what in wished if what in DECIDED), None)
        for what in wished:
            found = one.decide(what, NOW)
            if isinstance(found, Refusal):
                assert one.decided
                assert what != one.status
                assert found.code == "dispute-decided"
            else:
                one = found
        assert one.status == (final or ("under_review" if wished else "open"))
        assert one.sequence <= 3
