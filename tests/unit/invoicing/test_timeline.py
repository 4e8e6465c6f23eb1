"""What the timeline of an invoice says of what comes next."""

from dataclasses import replace
from datetime import date

import pytest

from invoicing.domain import Invoice
from invoicing.timeline import next_step

OPEN = Invoice("i", "c", "INV-1", "USD", "open", date(2026, 1, 1), date(2026, 1, 31), 10_000)


@pytest.mark.parametrize(
    ("today", "says"),
    [
        (date(2026, 1, 31), "It waits to be paid, by 2026-01-31."),
        (date(2026, 2, 1), "It waits to be paid: it was due on 2026-01-31, 1 day ago."),
        (date(2026, 3, 1), "It waits to be paid: it was due on 2026-01-31, 29 days ago."),
    ],
)
def test_an_open_invoice_waits_to_be_paid_and_is_never_said_to_be_paid(today: date, says: str) -> None:
    assert next_step(OPEN, (), today) == says


@pytest.mark.parametrize(
    ("expected_by", "says"),
    [
        (
            date(2026, 3, 2),
            "The payment under way is confirmed by 2026-03-02; until then the same money can't be paid twice.",
        ),
        (
            date(2026, 2, 27),
            "It waits for the payment under way, which was expected by 2026-02-27. Until that is confirmed, the same "
            "money can't be paid twice.",
        ),
        (None, "It waits for the payment under way. Until that is confirmed, the same money can't be paid twice."),
    ],
)
def test_a_payment_under_way_is_never_said_to_be_confirmed_before_it_is(expected_by: date | None, says: str) -> None:
    assert next_step(replace(OPEN, pending=10_000), [{"expected_by": expected_by}], date(2026, 3, 1)) == says


def test_a_paid_invoice_waits_for_nothing() -> None:
    assert next_step(replace(OPEN, state="paid", settled=10_000), (), date(2026, 3, 1)) is None
