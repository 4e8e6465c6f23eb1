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


def test_a_paid_invoice_waits_for_nothing() -> None:
    assert next_step(replace(OPEN, state="paid", settled=10_000), (), date(2026, 3, 1)) is None
