"""What the provider's codes mean."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from contracts.money import Money
from payments.collecting.domain.observing import consequence
from payments.collecting.domain.payments import Payment, Reversal, Step
from payments.providers.codes import meaning
from payments.providers.data_files import CODES

DAY = date(2026, 3, 1)
USD = Money(10_000, "USD")
PAYMENT = Payment(
    "p", "c", "collect", "declined", None, USD, Money(0, "USD"), (), datetime(2026, 3, 1, tzinfo=UTC), method_id="m"
)
BACK = Reversal("r", "p", "c", "return", "succeeded", USD, Money(0, "USD"), datetime(2026, 3, 1, tzinfo=UTC), "R02")


def step(what: Any, reason: str | None = None, **reversal: Any) -> Step:
    return Step(replace(PAYMENT, reason=reason), what, reversal=replace(BACK, **reversal) if reversal else None)


class TestMeaning:
    @pytest.mark.parametrize(
        ("kind", "code", "retry", "disables"),
        [
            ("return", "R01", True, False),
            ("return", "R02", False, True),
            ("return", "R08", False, False),
            ("return", "R10", False, True),
            ("return", "R29", False, True),
            ("decline", "insufficient_funds", True, False),
            ("decline", "stolen_card", False, True),
            ("decline", "authentication_required", False, False),
            ("chargeback", "fraudulent", False, True),
        ],
    )
    def test_code_decides_retry_and_disabling_of_the_method(
        self, kind: Any, code: str, retry: bool, disables: bool
    ) -> None:
        found = meaning(CODES, kind, code, DAY)
        assert (found.retry, found.disables) == (retry, disables)
        assert found.holds_autopay != (kind == "decline" and retry)
        assert found.words[0].isupper()

    def test_returns_hold_autopay_and_disabling_codes_exclude_retry(self) -> None:
        assert all(code.holds_autopay for code in CODES if code.kind in ("return", "chargeback"))
        assert not [code for code in CODES if code.retry and code.disables]
        assert not [code for code in CODES if code.disables and not code.holds_autopay]

    def test_code_is_read_as_of_its_day(self) -> None:
        before, after = (meaning(CODES, "return", "R11", day) for day in (date(2021, 3, 31), date(2021, 4, 1)))
        assert before.words != after.words

    def test_words_fit_after_a_colon(self) -> None:
        """They begin with a word that is small in the middle of a sentence, and end without a point."""
        assert {code.words.partition(" ")[0] for code in CODES} <= {"A", "All", "The", "There"}
        assert not [code.words for code in CODES if code.words.endswith(".")]

    def test_unknown_code_is_treated_with_care(self) -> None:
        for code in ("R99", None):
            found = meaning(CODES, "return", code, DAY)
            assert (found.retry, found.disables, found.holds_autopay) == (False, False, True)


class TestConsequence:
    def test_follows_declines_returns_and_opened_chargebacks_only(self) -> None:
        declined = consequence(CODES, step("declined", "lost_card"), DAY)
        returned = consequence(CODES, step("reversed", kind="return", code="R02"), DAY)
        disputed = consequence(CODES, step("disputed", kind="chargeback", code="fraudulent"), DAY)
        assert [found.code for found in (declined, returned, disputed) if found] == ["lost_card", "R02", "fraudulent"]
        for nothing in (
            step("reversed", kind="refund", code="refund"),
            step("reversed", kind="chargeback", code="fraudulent"),
            step("reconciled"),
            step("cancelled", "surcharge_declined"),
        ):
            assert consequence(CODES, nothing, DAY) is None
