"""What a person may decide about money that waits."""

import asyncio
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from chassis.http.problems import Problem
from contracts.ids import new_id
from contracts.money import Money
from payments.collecting.domain.payments import Payment
from payments.receiving.api import decisions, posting
from payments.receiving.api.resolutions import Resolution

WORK: Any = SimpleNamespace(
    clock=SimpleNamespace(today=lambda: date(2026, 3, 2)), now=datetime(2026, 3, 2, tzinfo=UTC), emit=lambda *_: None
)
ROW: dict[str, Any] = {
    "line_id": 1,
    "amount": 100,
    "currency": "USD",
    "booked_on": date(2026, 3, 2),
    "refs": [],
    "text": "",
}
ROW["proposals"] = "[]"


def refused(row: dict[str, Any], **asked: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        asyncio.run(posting.post(row, Resolution(action="post", reason="theirs", **asked), WORK))
    return caught.value


class TestDecisions:
    def test_future_money_is_refused_with_its_day(self) -> None:
        problem = refused({**ROW, "booked_on": date(2026, 3, 4)}, customer_id=new_id())
        assert (problem.status, problem.slug) == (409, "booked-in-future")
        assert "2026-03-04" in (problem.detail or "")

    def test_recorded_receipt_is_not_posted_again(self) -> None:
        proposals = f'[{{"customer_id": "{new_id()}", "invoices": [], "payment_id": "{new_id()}"}}]'
        assert refused({**ROW, "proposals": proposals}, proposal=0).slug == "recorded-already"

    @pytest.mark.parametrize(
        ("status", "reconciliation", "refused"),
        [
            ("succeeded", "mismatch", True),
            ("processing", "exception", True),
            ("declined", "exception", False),
        ],
    )
    def test_payment_that_holds_invoices_is_not_dismissed(
        self, monkeypatch: pytest.MonkeyPatch, status: Any, reconciliation: Any, refused: bool
    ) -> None:
        money = Money(100, "USD")
        payment = Payment("p", "c", "collect", status, reconciliation, money, money, (), WORK.now)

        async def load(*_: Any) -> Payment:
            return payment

        monkeypatch.setattr(decisions, "load_payment", load)
        row = {**ROW, "line_id": None, "payment_id": "p", "provider_id": None}
        work = SimpleNamespace(connection=None)
        asked = Resolution(action="dismiss", reason="never mind")
        if not refused:
            assert asyncio.run(decisions._dismiss(row, asked, work)) is None
            return
        with pytest.raises(Problem) as caught:
            asyncio.run(decisions._dismiss(row, asked, work))
        assert (caught.value.status, caught.value.slug) == (409, "holds-invoices")

    def test_repeated_one_gets_its_answer_another_is_refused(self) -> None:
        row = {"decision": b"this", "answer": b"{}"}
        assert decisions._answered(row, b"this") == b"{}"
        with pytest.raises(Problem) as caught:
            decisions._answered(row, b"that")
        assert (caught.value.status, caught.value.slug) == (409, "already-resolved")
