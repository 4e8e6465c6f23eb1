"""Which way to pay may be used."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.refusals import Refusal
from payments.methods.domain.methods import Method, disable, make_default, remove, unusable

NOW, DAY = datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 3, 1)
CARD = Method("m", "c", "pm_1", "card", "credit", "visa", "4242", 2026, 4)


class TestExpiry:
    @pytest.mark.parametrize(
        ("day", "warning"),
        [
            (date(2026, 3, 30), None),
            (date(2026, 3, 31), "expires_soon"),
            (date(2026, 4, 30), "expires_soon"),
            (date(2026, 5, 1), "expired"),
        ],
    )
    def test_warning_comes_thirty_days_before_the_last_day(self, day: date, warning: str | None) -> None:
        assert CARD.warning(day) == warning
        assert (unusable(CARD, day) is None) == (warning != "expired")

    @given(day=st.dates(date(2020, 1, 1), date(2040, 1, 1)), month=st.integers(1, 12), year=st.integers(2020, 2040))
    def test_warning_never_goes_back(self, day: date, month: int, year: int) -> None:
        card = replace(CARD, exp_year=year, exp_month=month)
        order = [None, "expires_soon", "expired"]
        assert order.index(card.warning(day)) <= order.index(card.warning(day + timedelta(days=1)))


class TestDefault:
    def test_new_one_replaces_the_one_before(self) -> None:
        first, second = replace(CARD, id="a", is_default=True), replace(CARD, id="b")
        changed = make_default([first, second], "b", DAY)
        assert isinstance(changed, list)
        assert [(each.id, each.is_default, each.sequence) for each in changed] == [("a", False, 2), ("b", True, 2)]
        assert make_default([first, second], "a", DAY) == []

    def test_unusable_method_is_refused(self) -> None:
        for method in (replace(CARD, verification="pending"), replace(CARD, saved=False)):
            assert isinstance(make_default([method], "m", DAY), Refusal)


class TestUse:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"removed_at": NOW}, "method-removed"),
            ({"disabled_at": NOW, "disabled_reason": "stolen"}, "method-disabled"),
            ({"verification": "pending"}, "method-unverified"),
            ({"verification": "failed"}, "method-unverified"),
            ({"exp_year": 2026, "exp_month": 2}, "method-expired"),
            ({"saved": False, "used": True}, "method-used"),
        ],
    )
    def test_unusable_method_is_refused_with_the_remedy(self, change: dict[str, object], code: str) -> None:
        refused = unusable(replace(CARD, **change), DAY)  # type: ignore[arg-type]
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.field, refused.conflict) == (code, "method_id", True)
        assert any(word in refused.detail for word in ("Choose", "Add", "add", "Verify"))

    def test_needed_method_is_not_removed(self) -> None:
        for autopay, under_way, code in ((True, False, "autopay-needs-method"), (False, True, "method-in-use")):
            refused = remove(CARD, autopay_needs=autopay, under_way=under_way, now=NOW)
            assert isinstance(refused, Refusal)
            assert (refused.code, refused.conflict) == (code, True)
        gone = remove(replace(CARD, is_default=True), autopay_needs=False, under_way=False, now=NOW)
        assert isinstance(gone, Method)
        assert (gone.removed_at, gone.is_default) == (NOW, False)

    def test_is_disabled_once(self) -> None:
        disabled = disable(CARD, "stolen card", NOW)
        assert disabled is not None
        assert (disabled.disabled_at, disabled.disabled_reason) == (NOW, "stolen card")
        assert disable(disabled, "again", NOW) is None
